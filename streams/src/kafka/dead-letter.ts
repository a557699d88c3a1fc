import type { RecordHeader } from './records/encode.js'

/**
 * The headers of a dead letter, named as Kafka Streams names them (KIP-1034), plus the time, which it leaves to the
 * record's timestamp. https://cwiki.apache.org/confluence/display/KAFKA/KIP-1034
 */
export const DEAD_LETTER_HEADERS = {
  exception: '__streams.errors.exception',
  message: '__streams.errors.message',
  topic: '__streams.errors.topic',
  partition: '__streams.errors.partition',
  offset: '__streams.errors.offset',
  time: '__streams.errors.time',
} as const

export interface DeadLetter {
  /** Code or name of the error, e.g. TRUNCATED: what groups causes. */
  exception: string
  /** What is wrong, for people. */
  message: string
  /** When it failed, epoch ms. */
  timeMs: number
  /** Where it was read; absent for what never was on a topic, such as a feed's frame. */
  record?: { topic: string; partition: number; offset: number }
}

/** Feeds and their texts have no bound, a header must: longer messages are cut. */
const LONGEST_MESSAGE = 1000

/** The headers to send a dead letter with; its key and value are the bytes as they came. */
export function deadLetterHeaders({ exception, message, timeMs, record }: DeadLetter): RecordHeader[] {
  const fields: [key: string, text: string][] = [
    [DEAD_LETTER_HEADERS.exception, exception],
    [DEAD_LETTER_HEADERS.message, message.slice(0, LONGEST_MESSAGE)],
    [DEAD_LETTER_HEADERS.time, String(timeMs)],
  ]
  if (record !== undefined) {
    fields.push(
      [DEAD_LETTER_HEADERS.topic, record.topic],
      [DEAD_LETTER_HEADERS.partition, String(record.partition)],
      [DEAD_LETTER_HEADERS.offset, String(record.offset)],
    )
  }
  return fields.map(([key, text]) => ({ key, value: Buffer.from(text, 'utf8') }))
}

/** The inverse of deadLetterHeaders; `undefined` when the headers are not a dead letter's. */
export function readDeadLetter(headers: readonly { key: string; value: Buffer | null }[]): DeadLetter | undefined {
  const texts = new Map(headers.map(({ key, value }) => [key, value?.toString('utf8') ?? '']))
  const exception = texts.get(DEAD_LETTER_HEADERS.exception)
  if (exception === undefined) return undefined
  const topic = texts.get(DEAD_LETTER_HEADERS.topic)
  return {
    exception,
    message: texts.get(DEAD_LETTER_HEADERS.message) ?? '',
    timeMs: Number(texts.get(DEAD_LETTER_HEADERS.time) ?? 0),
    ...(topic !== undefined && {
      record: {
        topic,
        partition: Number(texts.get(DEAD_LETTER_HEADERS.partition)),
        offset: Number(texts.get(DEAD_LETTER_HEADERS.offset)),
      },
    }),
  }
}
