import { describe, expect, it } from 'vitest'
import { json, utf8 } from '../serde.js'
import { TopologyTestDriver } from '../testing/topology-test-driver.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore, windowStore } from '../topology/stores.js'
import { tumbling } from '../topology/windows.js'

const texts = { key: utf8, value: utf8 }
const numbers = { key: utf8, value: json<number>() }

/** Hands on every value that is larger than all before it of its key. */
const records = keyValueStore('records', numbers)

function driverOfRecords() {
  const builder = new StreamsBuilder()
  builder
    .stream('in', { ...numbers, deadLetterTopic: 'failed' })
    .processValues(
      records,
      () => 0,
      (most, value, { offset }, forward: (told: string) => void) => {
        if (value === 13) throw new RangeError('no 13')
        if (value <= most) return most
        forward(`${value} at ${offset}`)
        return value
      },
    )
    .to('out', texts)
  return new TopologyTestDriver(builder.build())
}

describe('processValues', () => {
  it('hands on what the state of the key makes of each record, in their order and without waiting for a commit', () => {
    const driver = driverOfRecords()
    for (const value of [1, 3, 2, 5]) driver.pipe('in', { key: 'a', value })
    driver.pipe('in', { key: 'b', value: 4 })
    expect(driver.readOutput('out', texts).map(({ key, value }) => [key, value])).toEqual([
      ['a', '1 at 0'],
      ['a', '3 at 1'],
      ['a', '5 at 3'],
      ['b', '4 at 4'],
    ])
  })

  it('goes on with the committed state after a restart', async () => {
    const driver = driverOfRecords()
    driver.pipe('in', { key: 'a', value: 5 })
    await driver.commit()
    expect(driver.view().keyValue(records).get('a')).toBe(5)
    driver.pipe('in', { key: 'a', value: 9 })
    await driver.restart()
    driver.readRaw('out')
    driver.pipe('in', { key: 'a', value: 6 })
    driver.pipe('in', { key: 'a', value: 4 })
    expect(driver.readOutput('out', texts).map(({ value }) => value)).toEqual(['6 at 2'])
  })

  it('says by its store which node failed', () => {
    const driver = driverOfRecords()
    expect(() => driver.pipe('in', { key: 'a', value: 13 })).toThrow(
      /process-values records failed|at process-values records/,
    )
  })

  it('is refused where the key was changed', () => {
    const rekeyed = new StreamsBuilder().stream('in', numbers).selectKey(String)
    expect(() =>
      rekeyed.processValues(
        records,
        () => 0,
        (state) => state,
      ),
    ).toThrow('the key was changed')
  })

  it('takes announcements too: of a window that grows, the first time that it is over a limit', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', { ...numbers })
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 1_000, graceMs: 0 }))
      .aggregate(
        windowStore('sums', { ...numbers, retentionMs: 10_000 }),
        () => 0,
        (sum, value) => sum + value,
      )
      .emit({ openAtMostEveryMs: 0, closedAfterMs: 0 })
      .filter(({ value }) => value > 10)
      .processValues(
        keyValueStore('told', numbers),
        () => -1,
        (told, { window, value }, { offset }, forward: (text: string) => void) => {
          if (window.startMs > told) forward(`${window.startMs}: ${value}, offset ${offset}`)
          return window.startMs
        },
      )
      .to('out', texts)
    const driver = new TopologyTestDriver(builder.build())
    for (const [at, value] of [
      [1, 6],
      [2, 7],
      [3, 8],
      [1_001, 20],
    ] as const) {
      driver.pipe('in', { key: 'a', value, timestampMs: at })
      await driver.commit()
    }
    expect(driver.readOutput('out', texts).map(({ value }) => value)).toEqual([
      '0: 13, offset -1',
      '1000: 20, offset -1',
    ])
  })
})

describe('flatMapValues', () => {
  it('makes any number of records of one, in their order and with its key', () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', texts)
      .flatMapValues((line, key) => line.split(' ').filter((word) => word !== key))
      .to('out', texts)
    const driver = new TopologyTestDriver(builder.build())
    for (const value of ['a b c', 'b', 'd']) driver.pipe('in', { key: 'b', value })
    expect(driver.readOutput('out', texts).map(({ key, value }) => key + value)).toEqual(['ba', 'bc', 'bd'])
  })
})

describe('count', () => {
  it('tells how many records there were of each key, also through a topic that the topology reads itself', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('lines', texts)
      .flatMapValues((line) => line.split(' '))
      .selectKey((word) => word)
      .to('words', texts)
    const counts = keyValueStore('counts', numbers)
    builder.stream('words', texts).groupByKey().count(counts).toStream().to('counts', numbers)
    const driver = new TopologyTestDriver(builder.build(), { partitions: 3 })
    driver.pipe('lines', { key: 'x', value: 'to be or not to be' })
    await driver.commit()
    const told = driver.readOutput('counts', numbers).map(({ key, value }) => [key, value])
    expect(Object.fromEntries(told)).toEqual({ to: 2, be: 2, or: 1, not: 1 })
    expect(told).toHaveLength(4)
    driver.pipe('lines', { key: 'y', value: 'be' })
    await driver.commit()
    expect(driver.readOutput('counts', numbers).map(({ key, value }) => [key, value])).toEqual([['be', 3]])
  })
})
