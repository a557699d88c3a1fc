import { afterEach, describe, expect, it, vi } from 'vitest'
import { StreamsError, type StreamsErrorCode } from '../errors.js'
import { causeOf, Failures } from './failures.js'
import { KafkaError } from '../kafka/errors.js'
import { KeptLog } from '../kafka/testing/test-cluster.js'
import { ProcessingError, type ErrorDecision } from '../processing/error-handlers.js'
import { PoisonRecords } from '../processing/poison-records.js'

const where = { taskId: '0_0', node: 'map-values', topic: 'in', partition: 0, offset: 5, timestampMs: 0 }
const poison = new ProcessingError({ ...where, key: null, value: null, headers: [] }, new Error('poison'))
const away = KafkaError.connection('the broker is away', false)

function newFailures(decision: ErrorDecision = 'fail') {
  const log = new KeptLog()
  return { log, failures: new Failures(new PoisonRecords(() => decision), log) }
}

/** How the rollbacks after these errors end, each by itself. */
function outcomesOf(failures: Failures, errors: readonly unknown[]): string[] {
  return errors.map((error) => {
    try {
      failures.judge(error)
      return 'goes on'
    } catch (thrown) {
      expect(thrown, 'the error itself').toBe(error)
      return 'ends'
    }
  })
}

afterEach(() => void vi.restoreAllMocks())

describe('after a rollback the application', () => {
  it.each([
    ['Kafka is away', away],
    ['the group went on without us', KafkaError.named('ILLEGAL_GENERATION')],
    ['somebody has taken over our transactional id', KafkaError.named('INVALID_PRODUCER_EPOCH')],
    ['local state was found damaged', new StreamsError('STATE_DAMAGED', 'a block does not fit its checksum')],
  ])('goes on, however often, when %s', (_, error) => {
    const { failures } = newFailures()
    expect(new Set(outcomesOf(failures, Array<unknown>(50).fill(error)))).toEqual(new Set(['goes on']))
  })

  it.each([
    KafkaError.named('TOPIC_AUTHORIZATION_FAILED'),
    KafkaError.named('UNSUPPORTED_VERSION'),
    KafkaError.closed(),
    ...(
      [
        'DESERIALIZATION',
        'PRODUCTION',
        'HANDLER',
        'STATE',
        'TOPICS',
        'OFFSETS_LOST',
        'CHANGELOG_LOST',
        'RESET_UNFINISHED',
        'DUPLICATE_INSTANCE',
      ] satisfies StreamsErrorCode[]
    ).map((code) => new StreamsError(code, code)),
  ])('ends at once when going on would only fail again: $message', (error) => {
    expect(outcomesOf(newFailures().failures, [error])).toEqual(['ends'])
  })

  it('ends when the same record has failed three times, unless its handler leaves it out', () => {
    expect(outcomesOf(newFailures('fail').failures, [poison, poison, poison])).toEqual(['goes on', 'goes on', 'ends'])
    expect(outcomesOf(newFailures('continue').failures, [poison, poison, poison]).at(-1)).toBe('goes on')
  })

  it.each([
    ['an error that nobody can name', new Error('the disk is full')],
    ['a log that begins after our position', KafkaError.named('OFFSET_OUT_OF_RANGE', { topic: 'sums', partition: 0 })],
  ])('ends when %s came three times in a row', (_, error) => {
    expect(outcomesOf(newFailures().failures, [error, error, error])).toEqual(['goes on', 'goes on', 'ends'])
  })

  it('ends when three errors that nobody can name came in a row, also when each has other words', () => {
    const errors = ['file 1', 'file 2', 'file 3'].map((text) => new Error(text))
    expect(outcomesOf(newFailures().failures, errors)).toEqual(['goes on', 'goes on', 'ends'])
  })

  it('ends also when commits of other tasks went through between them, unless they are a minute apart', () => {
    const clock = vi.spyOn(performance, 'now')
    const one = new Error('one')
    const outcomesEvery = (ms: number) => {
      const { failures } = newFailures()
      return [0, 1, 2].flatMap((nth) => {
        clock.mockReturnValue(nth * ms)
        failures.committed()
        return outcomesOf(failures, [one])
      })
    }
    expect(outcomesEvery(59_000)).toEqual(['goes on', 'goes on', 'ends'])
    expect(outcomesEvery(60_000)).not.toContain('ends')
  })
})

describe('the wait between two tries', () => {
  const waits = (failures: Failures, random: number, times = 8) => {
    vi.spyOn(Math, 'random').mockReturnValue(random)
    return Array.from({ length: times }, () => failures.judge(away))
  }

  it('doubles from between 50 and 100 ms to between 1 and 2 s, so that instances do not try in step', () => {
    expect(waits(newFailures().failures, 0)).toEqual([50, 100, 200, 400, 800, 1_000, 1_000, 1_000])
    expect(waits(newFailures().failures, 1)).toEqual([100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000])
  })

  it('begins anew once something was committed, and so does the one line in the log', () => {
    const { failures, log } = newFailures()
    waits(failures, 0)
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { reason: away.message } }])
    failures.committed()
    expect(waits(failures, 0, 2)).toEqual([50, 100])
    expect(log.lines).toHaveLength(2)
  })
})

it.each([
  ['processing', poison],
  ['other', new StreamsError('OFFSETS_LOST', 'gone')],
  ['fenced', KafkaError.named('UNKNOWN_MEMBER_ID')],
  ['kafka', away],
  ['kafka', KafkaError.named('TOPIC_AUTHORIZATION_FAILED')],
  ['other', new Error('the disk is full')],
  ['other', 'a text that was thrown'],
])('what makes an interval worthless is counted as %s: %s', (cause, error) => {
  expect(causeOf(error)).toBe(cause)
})
