import { describe, expect, it } from 'vitest'
import type { RecordHeader } from '../kafka/records/encode.js'
import { utf8, type Serde } from '../serde.js'
import { TopologyTestDriver } from '../testing/topology-test-driver.js'
import { StreamsBuilder } from '../topology/builder.js'
import type { Announcement } from '../topology/nodes.js'
import { keyValueStore, windowStore } from '../topology/stores.js'
import { tumbling } from '../topology/windows.js'

const number: Serde<number> = {
  encode: (value) => Buffer.from(String(value)),
  decode: (bytes, start, end) => Number(bytes.toString('latin1', start, end)),
}
const both = { key: utf8, value: number }
const announced = { key: utf8, value: { encode: ({ value }: Announcement<number>) => number.encode(value), decode: number.decode as never } } // prettier-ignore

const trace = (id: string): RecordHeader[] => [
  { key: 'traceparent', value: Buffer.from(`00-${id}`) },
  { key: 'tracestate', value: Buffer.from(`s=${id}`) },
]
const other: RecordHeader = { key: 'content-type', value: Buffer.from('text') }

/** The trace of each record on a topic, by key and value. */
function tracesOn(driver: TopologyTestDriver, topic: string): string[] {
  return driver.readRaw(topic).map(({ key, value, headers }) => {
    const texts = headers.map((header) => `${header.key}=${header.value}`)
    return [`${key}:${value}`, ...texts].join(' ')
  })
}

describe('the trace of a record', () => {
  it('goes on to what is made of it on its way, and to nothing else', () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', both)
      .filter((value) => value > 0)
      .mapValues((value) => value * 2)
      .to('out', both)
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('in', { key: 'a', value: 1, headers: [other, ...trace('1')] })
    driver.pipe('in', { key: 'a', value: 2, headers: [other] })
    driver.pipe('in', { key: 'a', value: 3, headers: trace('3') })
    driver.pipe('in', { key: 'a', value: 4 })
    expect(tracesOn(driver, 'out')).toEqual([
      'a:2 traceparent=00-1 tracestate=s=1',
      'a:4',
      'a:6 traceparent=00-3 tracestate=s=3',
      'a:8',
    ])
  })

  it('goes on to the announcement of the key it changed last', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', both)
      .groupByKey()
      .aggregate(
        keyValueStore('sums', both),
        () => 0,
        (sum, value) => sum + value,
      )
      .toStream()
      .to('out', both)
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('in', { key: 'a', value: 1, headers: trace('1') })
    driver.pipe('in', { key: 'a', value: 1, headers: trace('2') })
    driver.pipe('in', { key: 'b', value: 1, headers: trace('3') })
    driver.pipe('in', { key: 'b', value: 1 })
    driver.pipe('in', { key: 'c', value: 1 })
    await driver.commit()
    expect(tracesOn(driver, 'out')).toEqual(['a:2 traceparent=00-2 tracestate=s=2', 'b:2', 'c:1'])
    driver.pipe('in', { key: 'a', value: 1 })
    await driver.commit()
    expect(tracesOn(driver, 'out'), 'an older trace is not told twice').toEqual(['a:3'])
  })

  it('waits with a window that is announced later, and goes on to the larger one its end closes', async () => {
    const builder = new StreamsBuilder()
    const small = builder
      .stream('in', { ...both, timestamp: (value) => value })
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 10, graceMs: 100 }))
      .aggregate(
        windowStore('small', { ...both, retentionMs: 1_000 }),
        () => 0,
        (sum) => sum + 1,
      )
      .emit({ openAtMostEveryMs: 50, closedAfterMs: 0 })
    small.filter(({ closed }) => !closed).to('open', announced)
    small
      .rollUp(tumbling({ sizeMs: 20, graceMs: 100 }), windowStore('large', { ...both, retentionMs: 1_000 }), (parts) =>
        parts.reduce((sum, part) => sum + part, 0),
      )
      .to('large', announced)
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('in', { key: 'a', value: 1 })
    await driver.commit()
    expect(tracesOn(driver, 'open')).toEqual(['a:1'])
    driver.pipe('in', { key: 'a', value: 2, headers: trace('1') })
    await driver.commit()
    expect(tracesOn(driver, 'open'), 'held back').toEqual([])
    await driver.advanceWallClock(5)
    driver.pipe('in', { key: 'a', value: 12, timestampMs: 100, headers: trace('2') })
    driver.pipe('in', { key: 'b', value: 30, timestampMs: 100 })
    await driver.commit()
    expect(tracesOn(driver, 'large')).toEqual(['a:3 traceparent=00-2 tracestate=s=2'])
  })

  it('goes along with a dead letter, with all the other headers', () => {
    const builder = new StreamsBuilder()
    builder.stream('in', { ...both, check: () => 'no', deadLetterTopic: 'dlq' }).to('out', both)
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('in', { key: 'a', value: 1, headers: [other, ...trace('1')] })
    expect(driver.readRaw('dlq')[0]!.headers.slice(0, 3)).toEqual([other, ...trace('1')])
  })
})
