import type { RecordHeader } from './records/encode.js'

/**
 * The headers of a dead letter, named as Kafka Streams names them (KIP-1034), plus the time, which it leaves to the
 * record's timestamp, and the original sizes of what was cut. https://cwiki.apache.org/confluence/display/KAFKA/KIP-1034
 */
export const DEAD_LETTER_HEADERS = {
  exception: '__streams.errors.exception',
  message: '__streams.errors.message',
  stacktrace: '__streams.errors.stacktrace',
  topic: '__streams.errors.topic',
  partition: '__streams.errors.partition',
  offset: '__streams.errors.offset',
  time: '__streams.errors.time',
  keyBytes: '__streams.errors.original.key.bytes',
  valueBytes: '__streams.errors.original.value.bytes',
  headersBytes: '__streams.errors.original.headers.bytes',
} as const

/** A record that was put aside, and why. */
export interface DeadLetter {
  /** Code or name of the error, e.g. TRUNCATED: what groups causes. */
  exception: string
  /** What is wrong, for people. */
  message: string
  /** Where in the code it was thrown, if the error knows. */
  stacktrace?: string
  /** When it failed, epoch ms. */
  timeMs: number
  /** Where it was read; absent for what never was on a topic, such as a message from outside Kafka. */
  record?: { topic: string; partition: number; offset: number }
}

/** What an error says has no bound, a header must: longer messages are cut. */
const LONGEST_MESSAGE = 1000
const LONGEST_STACKTRACE = 4000

/** A broker takes about 1 MB in one batch, and putting aside must not fail: what is longer is cut. */
const LONGEST_KEY_BYTES = 64 * 1024
const LONGEST_VALUE_BYTES = 900_000
const MOST_HEADERS_BYTES = 16 * 1024

/**
 * The record to send as a dead letter: key, value and headers as they came, and what went wrong in headers of its own,
 * which replace those of an earlier failure. A key over 64 KiB and a value over 900,000 bytes are cut, headers beyond
 * 16 KiB left out, and a header tells how long each was.
 */
export function deadLetterRecord(
  { exception, message, stacktrace, timeMs, record }: DeadLetter,
  key: Buffer | null,
  value: Buffer | null,
  original: readonly RecordHeader[] = [],
): { key: Buffer | null; value: Buffer | null; headers: RecordHeader[] } {
  const fields: [key: string, text: string][] = [
    [DEAD_LETTER_HEADERS.exception, exception],
    [DEAD_LETTER_HEADERS.message, message.slice(0, LONGEST_MESSAGE)],
    ...(stacktrace === undefined
      ? []
      : [[DEAD_LETTER_HEADERS.stacktrace, stacktrace.slice(0, LONGEST_STACKTRACE)] as [string, string]]),
    [DEAD_LETTER_HEADERS.time, String(timeMs)],
  ]
  if (record !== undefined) {
    fields.push(
      [DEAD_LETTER_HEADERS.topic, record.topic],
      [DEAD_LETTER_HEADERS.partition, String(record.partition)],
      [DEAD_LETTER_HEADERS.offset, String(record.offset)],
    )
  }
  const cut = (bytes: Buffer | null, longest: number, header: string) => {
    if (bytes === null || bytes.length <= longest) return bytes
    fields.push([header, String(bytes.length)])
    return bytes.subarray(0, longest)
  }
  const cutKey = cut(key, LONGEST_KEY_BYTES, DEAD_LETTER_HEADERS.keyBytes)
  const cutValue = cut(value, LONGEST_VALUE_BYTES, DEAD_LETTER_HEADERS.valueBytes)
  const own = original.filter((header) => !header.key.startsWith(ERRORS_PREFIX))
  const kept = fitting(own, MOST_HEADERS_BYTES)
  if (kept.length < own.length) {
    fields.push([DEAD_LETTER_HEADERS.headersBytes, String(own.reduce((sum, header) => sum + sizeOf(header), 0))])
  }
  const about = fields.map(([name, text]) => ({ key: name, value: Buffer.from(text, 'utf8') }))
  return { key: cutKey, value: cutValue, headers: [...kept, ...about] }
}

const ERRORS_PREFIX = '__streams.errors.'

/** The first headers that fit together; each costs a few bytes besides its texts. */
function fitting(headers: readonly RecordHeader[], mostBytes: number): RecordHeader[] {
  let sizeBytes = 0
  return headers.filter((header) => (sizeBytes += sizeOf(header)) <= mostBytes)
}

function sizeOf({ key, value }: RecordHeader): number {
  return Buffer.byteLength(key) + (value?.length ?? 0) + 8
}

/** What deadLetterRecord() wrote into the headers; `undefined` when the headers are not a dead letter's. */
export function readDeadLetter(headers: readonly { key: string; value: Buffer | null }[]): DeadLetter | undefined {
  const texts = new Map(headers.map(({ key, value }) => [key, value?.toString('utf8') ?? '']))
  const exception = texts.get(DEAD_LETTER_HEADERS.exception)
  if (exception === undefined) return undefined
  const topic = texts.get(DEAD_LETTER_HEADERS.topic)
  const stacktrace = texts.get(DEAD_LETTER_HEADERS.stacktrace)
  return {
    exception,
    message: texts.get(DEAD_LETTER_HEADERS.message) ?? '',
    timeMs: Number(texts.get(DEAD_LETTER_HEADERS.time) ?? 0),
    ...(stacktrace !== undefined && { stacktrace }),
    ...(topic !== undefined && {
      record: {
        topic,
        partition: Number(texts.get(DEAD_LETTER_HEADERS.partition)),
        offset: Number(texts.get(DEAD_LETTER_HEADERS.offset)),
      },
    }),
  }
}
