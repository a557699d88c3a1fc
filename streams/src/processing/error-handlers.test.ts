import { describe, expect, it, vi } from 'vitest'
import { StreamsError } from '../errors.js'
import { readDeadLetter } from '../kafka/dead-letter.js'
import { utf8, type Serde } from '../serde.js'
import { TopologyTestDriver, type DriverOptions } from '../testing/topology-test-driver.js'
import { StreamsBuilder, type ConsumedOptions, type ProducedOptions } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'
import { tumbling } from '../topology/windows.js'
import { windowStore } from '../topology/stores.js'
import { checkDeadLetterTopics, type ErrorDecision, type InputErrorContext } from './error-handlers.js'

/** Numbers; a text that is none cannot be decoded, and what is not finite cannot be encoded. */
const number: Serde<number> = {
  encode(value) {
    if (!Number.isFinite(value)) throw new RangeError(`${value} is not finite`)
    return Buffer.from(String(value))
  },
  decode(bytes, start, end) {
    const value = Number(bytes.toString('latin1', start, end))
    if (Number.isNaN(value)) throw new SyntaxError('not a number')
    return value
  },
}
const both = { key: utf8, value: number }

/** Sends each record on to `out`, divided by itself minus 1: 1 gives what cannot be encoded. */
function passOn(
  source: Partial<ConsumedOptions<string, number>> = {},
  sink: Partial<ProducedOptions<string, number>> = {},
  options: DriverOptions = {},
) {
  const builder = new StreamsBuilder()
  builder
    .stream('in', { ...both, ...source })
    .mapValues((value) => {
      if (value === 666) throw new Error('poison')
      return value / (value - 1)
    })
    .to('out', { ...both, ...sink })
  const driver = new TopologyTestDriver(builder.build(), options)
  const pipe = (...texts: string[]) => {
    for (const text of texts) driver.pipe('in', { key: Buffer.from('k'), value: Buffer.from(text) })
  }
  const letters = () =>
    driver.readRaw('dlq').map(({ key, value, headers }) => ({ key, value, about: readDeadLetter(headers) }))
  return { driver, pipe, letters, values: () => driver.readOutput('out', both).map(({ value }) => value) }
}

function thrownBy(act: () => unknown): StreamsError {
  try {
    act()
  } catch (error) {
    if (error instanceof StreamsError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a record that cannot be decoded', () => {
  it('stops the application where nothing else is said, with what it is about and what to do', () => {
    const { pipe } = passOn()
    const error = thrownBy(() => pipe('2', 'x'))
    expect(error).toMatchObject({
      code: 'DESERIALIZATION',
      concerns: { task: '0_0', topic: 'in', partition: 0, offset: 1 },
    })
    expect(error.message).toContain('deadLetterTopic')
  })

  it('is put aside where there is a place for it, as it came, with the error in the headers', () => {
    const { pipe, letters, values } = passOn({ deadLetterTopic: 'dlq' })
    pipe('x', '2')
    expect(values()).toEqual([2])
    expect(letters()).toMatchObject([
      {
        key: Buffer.from('k'),
        value: Buffer.from('x'),
        about: { exception: 'SyntaxError', message: 'not a number', record: { topic: 'in', partition: 0, offset: 0 } },
      },
    ])
  })

  it('is left out and counted where a handler says continue, and the stream’s own handler goes before', () => {
    const all = passOn({ deadLetterTopic: 'dlq' }, {}, { onDeserializationError: 'continue' })
    all.pipe('x', '2')
    expect(all.driver.droppedRecords).toBe(1)
    expect(all.letters()).toEqual([])
    expect(all.values()).toEqual([2])
    const own = passOn({ onDeserializationError: 'fail' }, {}, { onDeserializationError: 'continue' })
    expect(thrownBy(() => own.pipe('x')).code).toBe('DESERIALIZATION')
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 51 + 1, 2 ** 52])(
    'is what one with the event time %s counts as: stream time never gets where no changelog record can be',
    (eventMs) => {
      const { pipe, letters, values } = passOn({
        deadLetterTopic: 'dlq',
        timestamp: (value) => (value === 3 ? eventMs : 2 ** 51),
      })
      pipe('3', '2')
      expect(letters().map(({ about }) => about?.message)).toEqual([
        expect.stringContaining(`event time ${eventMs} is`),
      ])
      expect(values()).toEqual([2])
    },
  )

  it('is shown to a handler that decides each time: bytes, headers, where it was read', () => {
    const seen: InputErrorContext[] = []
    const onDeserializationError = (context: InputErrorContext): ErrorDecision => {
      seen.push(context)
      return context.value?.toString() === 'x' ? 'continue' : 'dead-letter'
    }
    const { driver, pipe, letters } = passOn({ deadLetterTopic: 'dlq' }, {}, { onDeserializationError })
    const headers = [{ key: 'trace', value: Buffer.from('1') }]
    driver.pipe('in', { key: Buffer.from('k'), value: Buffer.from('x'), headers, timestampMs: 5 })
    pipe('y')
    expect(driver.droppedRecords).toBe(1)
    expect(letters()).toHaveLength(1)
    expect(seen[0]).toEqual({
      taskId: '0_0',
      node: 'source in',
      ...{ topic: 'in', partition: 0, offset: 0, timestampMs: 5 },
      ...{ key: Buffer.from('k'), value: Buffer.from('x'), headers },
    })
  })

  it('stops the application when the handler throws, answers nonsense, or wants a place that is not there', () => {
    const throwing = passOn({}, {}, { onDeserializationError: () => { throw new Error('broken handler') } }) // prettier-ignore
    expect(thrownBy(() => throwing.pipe('x'))).toMatchObject({
      code: 'HANDLER',
      message: expect.stringContaining('broken handler'),
    })
    const late = (async () => 'continue') as unknown as () => ErrorDecision
    expect(thrownBy(() => passOn({}, {}, { onDeserializationError: late }).pipe('x'))).toMatchObject({
      code: 'HANDLER',
    })
    expect(thrownBy(() => passOn({}, {}, { onDeserializationError: () => 'dead-letter' }).pipe('x')).message).toContain(
      "stream('in') has no deadLetterTopic",
    )
  })
})

describe('a record that makes the topology throw', () => {
  it('is told with the node, its bytes and the cause, for the rollback to come', () => {
    const { pipe } = passOn({ deadLetterTopic: 'dlq' })
    expect(thrownBy(() => pipe('2', '666'))).toMatchObject({
      code: 'PROCESSING',
      message: 'processing in-0 offset 1 failed at map-values: poison',
      record: { node: 'map-values', value: Buffer.from('666'), taskId: '0_0', offset: 1 },
      cause: { message: 'poison' },
    })
  })
})

describe('a record that cannot be written', () => {
  it('stops the application where nothing else is said, with the node and the record it was made of', () => {
    const { pipe } = passOn()
    expect(thrownBy(() => pipe('2', '1'))).toMatchObject({
      code: 'PRODUCTION',
      concerns: { task: '0_0', node: 'sink out', topic: 'in', partition: 0, offset: 1 },
      cause: { message: 'Infinity is not finite' },
    })
  })

  it('is put aside where its stream has a place for it, pointing at the record it was made of, and the rest goes on', () => {
    const { pipe, letters, values } = passOn({ deadLetterTopic: 'dlq' })
    pipe('1', '2')
    expect(values()).toEqual([2])
    expect(letters()).toMatchObject([
      { key: Buffer.from('k'), value: null, about: { exception: 'RangeError', record: { topic: 'in', offset: 0 } } },
    ])
  })

  it('goes to the dead letters of its sink, or is left out, as the sink says', () => {
    const own = passOn({ deadLetterTopic: 'other' }, { deadLetterTopic: 'dlq' })
    own.pipe('1')
    expect(own.letters()).toHaveLength(1)
    const onProductionError = vi.fn((): ErrorDecision => 'continue')
    const dropping = passOn({ deadLetterTopic: 'dlq' }, { onProductionError }, { onProductionError: 'fail' })
    dropping.pipe('1')
    expect(dropping.driver.droppedRecords).toBe(1)
    expect(onProductionError).toHaveBeenCalledWith(
      expect.objectContaining({ node: 'sink out', topic: 'out', input: { topic: 'in', partition: 0, offset: 0 } }),
      expect.any(RangeError),
    )
  })
})

describe('what is announced at a commit', () => {
  function aggregating(stored: Serde<number>, map: (value: number) => number, source = {}) {
    const builder = new StreamsBuilder()
    builder
      .stream('in', { ...both, ...source })
      .groupByKey()
      .aggregate(
        keyValueStore('sums', { key: utf8, value: stored }),
        () => 0,
        (sum, value) => sum + value,
      )
      .toStream()
      .mapValues(map)
      .to('out', both)
    const driver = new TopologyTestDriver(builder.build())
    for (const key of ['a', 'b']) driver.pipe('in', { key, value: key === 'b' ? 13 : 1 })
    return driver
  }

  it('names task, store, key and node when user code throws about it', async () => {
    const driver = aggregating(number, (sum) => {
      if (sum === 13) throw new Error('unlucky')
      return sum
    })
    await expect(driver.commit()).rejects.toMatchObject({
      code: 'PROCESSING',
      message: "task 0_0: announcing key 'b' of store sums failed at map-values: unlucky",
      concerns: { task: '0_0', store: 'sums', key: 'b', node: 'map-values' },
    })
  })

  it('names task, store and key when the store’s own serde refuses a value', async () => {
    const picky: Serde<number> = {
      ...number,
      encode(value) {
        if (value === 13) throw new Error('unlucky')
        return number.encode(value)
      },
    }
    await expect(aggregating(picky, (sum) => sum).commit()).rejects.toMatchObject({
      code: 'PROCESSING',
      concerns: { task: '0_0', store: 'sums', key: 'b' },
      cause: { message: 'unlucky' },
    })
  })

  it('is put aside when it cannot be written, without a record it was made of; the state stays', async () => {
    const driver = aggregating(number, (sum) => (sum === 13 ? Infinity : sum), { deadLetterTopic: 'dlq' })
    await driver.commit()
    expect(driver.readOutput('out', both).map(({ value }) => value)).toEqual([1])
    const [letter] = driver.readRaw('dlq')
    expect(letter).toMatchObject({ key: Buffer.from('b'), value: null })
    expect(readDeadLetter(letter!.headers)).not.toHaveProperty('record')
    expect(await driver.view().keyValue(keyValueStore('sums', both)).get('b')).toBe(13)
  })

  it('names the window’s store, too', async () => {
    const builder = new StreamsBuilder()
    builder
      .stream('in', both)
      .groupByKey()
      .windowedBy(tumbling({ sizeMs: 10, graceMs: 0 }))
      .aggregate(
        windowStore('sums', { ...both, retentionMs: 100 }),
        () => 0,
        (sum, value) => sum + value,
      )
      .emit({ openAtMostEveryMs: 0, closedAfterMs: 0 })
      .filter(() => {
        throw new Error('unlucky')
      })
      .to('out', { key: utf8, value: { encode: () => Buffer.alloc(0), decode: () => undefined as never } })
    const driver = new TopologyTestDriver(builder.build())
    driver.pipe('in', { key: 'a', value: 1 })
    await expect(driver.commit()).rejects.toMatchObject({ concerns: { store: 'sums', key: 'a', node: 'filter' } })
  })
})

it('an application that is to put records aside and has no place for them is refused before it starts', () => {
  const topologyOf = (
    source: Partial<ConsumedOptions<string, number>>,
    sink: Partial<ProducedOptions<string, number>>,
  ) => {
    const builder = new StreamsBuilder()
    builder.stream('in', { ...both, ...source }).to('out', { ...both, ...sink })
    return builder.build()
  }
  expect(() => checkDeadLetterTopics(topologyOf({}, {}), { onProcessingError: 'dead-letter' })).toThrow("stream('in')")
  expect(() => checkDeadLetterTopics(topologyOf({}, { onProductionError: 'dead-letter' }), {})).toThrow("to('out')")
  const everywhere = { onDeserializationError: 'dead-letter', onProductionError: 'dead-letter' } as const
  expect(() => checkDeadLetterTopics(topologyOf({ deadLetterTopic: 'dlq' }, {}), everywhere)).not.toThrow()
})
