import type { RecordHeader } from './records/encode.js'

/** Where a record came from that went to a dead-letter topic, and why. */
export interface DeadLetter {
  error: unknown
  /** When it was put aside, epoch ms. */
  atMs: number
  topic?: string
  partition?: number
  offset?: number
  /** A short code that groups causes: `UNDECODABLE`, `price-not-positive`, ... */
  reason: string
}

const PREFIX = '__streams.errors.'

/** The headers a dead letter carries, by the names of KIP-1034, besides our own `reason` and `time`. */
export function deadLetterHeaders({ error, atMs, topic, partition, offset, reason }: DeadLetter): RecordHeader[] {
  const texts: Record<string, string | undefined> = {
    exception: error instanceof Error ? error.name : 'Error',
    message: (error instanceof Error ? error.message : String(error)).slice(0, 1000),
    topic,
    partition: partition?.toString(),
    offset: offset?.toString(),
    reason,
    time: new Date(atMs).toISOString(),
  }
  return Object.entries(texts)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, text]) => ({ key: PREFIX + name, value: Buffer.from(text, 'utf8') }))
}
