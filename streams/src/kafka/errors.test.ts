import { describe, expect, it } from 'vitest'
import { isKafkaError, KafkaError, toKafkaError } from './errors.js'

function kafkaJs(name: string, message: string, extra: object = {}): Error {
  return Object.assign(new Error(message), { name }, extra)
}

describe('errors of KafkaJS become ours', () => {
  it('a broken connection is retriable, and its outcome unknown only if the request had left', () => {
    const broken = kafkaJs('KafkaJSConnectionError', 'Connection error: read ECONNRESET', { code: 'ECONNRESET' })
    expect(toKafkaError(broken, false)).toMatchObject({ name: 'CONNECTION', kind: 'retriable', outcomeUnknown: false })
    expect(toKafkaError(broken, true)).toMatchObject({ name: 'CONNECTION', kind: 'retriable', outcomeUnknown: true })
  })

  it('an answer that did not come leaves the outcome unknown', () => {
    const timeout = kafkaJs('KafkaJSRequestTimeoutError', 'Request EndTxn(key: 26, version: 3) timed out')
    expect(toKafkaError(timeout, true)).toMatchObject({
      name: 'REQUEST_TIMED_OUT',
      kind: 'retriable',
      outcomeUnknown: true,
    })
  })

  it('what KafkaJS wrapped while retrying is unwrapped', () => {
    const cause = kafkaJs('KafkaJSConnectionError', 'connect ECONNREFUSED')
    const wrapped = Object.assign(new Error('gave up', { cause }), { name: 'KafkaJSNumberOfRetriesExceeded' })
    expect(toKafkaError(wrapped, false)).toMatchObject({ name: 'CONNECTION', kind: 'retriable' })
  })

  it('a refused login is fatal', () => {
    const refused = kafkaJs('KafkaJSSASLAuthenticationError', 'SASL PLAIN authentication failed')
    expect(toKafkaError(refused, false)).toMatchObject({ name: 'SASL_AUTHENTICATION_FAILED', kind: 'fatal' })
  })

  it('a mistake in code does not look as if a retry could help', () => {
    expect(toKafkaError(new TypeError('x is not a function'), true)).toMatchObject({ kind: 'fatal' })
  })
})

describe('errors of the broker', () => {
  it.each([
    ['PRODUCER_FENCED', 90, 'fenced'],
    ['INVALID_PRODUCER_EPOCH', 47, 'fenced'],
    ['ILLEGAL_GENERATION', 22, 'fenced'],
    ['UNKNOWN_MEMBER_ID', 25, 'fenced'],
    ['UNSTABLE_OFFSET_COMMIT', 88, 'retriable'],
    ['CONCURRENT_TRANSACTIONS', 51, 'retriable'],
    ['NOT_COORDINATOR', 16, 'retriable'],
    ['MESSAGE_TOO_LARGE', 10, 'fatal'],
    ['TOPIC_AUTHORIZATION_FAILED', 29, 'fatal'],
  ] as const)('%s is %i and %s', (name, code, kind) => {
    expect(KafkaError.fromCode(code)).toMatchObject({ name, code, kind })
    expect(KafkaError.named(name)).toMatchObject({ name, code, kind })
  })

  it('say what they concern', () => {
    const error = KafkaError.fromCode(3, { topic: 'trades', partition: 4 }, 'no such partition')
    expect(error.message).toBe('UNKNOWN_TOPIC_OR_PARTITION (topic trades, partition 4): no such partition')
    expect(isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')).toBe(true)
  })

  it('with a code from a newer Kafka are fatal and keep the code', () => {
    expect(KafkaError.fromCode(4711)).toMatchObject({ name: 'UNKNOWN_CODE_4711', kind: 'fatal', code: 4711 })
  })
})
