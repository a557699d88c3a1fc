import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { pipeline } from 'node:stream'
import type { UncheckedTrade } from '../trade-source.js'

/** A recording cannot be read (missing, no permission, damaged .gz). */
export class RecordingError extends Error {
  readonly code = 'RECORDING'
  constructor(file: string, cause: unknown) {
    super(`cannot read the recording ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.name = 'RecordingError'
  }
}

/** One line of a recording. Its values are as the line has them: not validated yet. */
export type RecordingLine =
  | { readonly kind: 'trade'; readonly raw: Buffer; readonly trade: UncheckedTrade }
  | {
      readonly kind: 'rejected'
      readonly raw: Buffer
      readonly reason: 'line-fields' | 'line-length'
      readonly detail: string
    }

const NEWLINE = 0x0a
const RETURN = 0x0d
const MAX_LINE_BYTES = 16 * 1024
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
const BYTE_ORDER_MARK = '\ufeff'

/**
 * Streams a CSV of trades `symbol,price,volume,timestamp_ms` (epoch milliseconds; gzipped when the name ends in .gz; a
 * heading is passed over, so are empty lines; no quoting), a piece of the file at a time.
 * @throws RecordingError
 */
export async function* readRecording(file: string): AsyncGenerator<readonly RecordingLine[]> {
  const lines = new LineSplitter()
  let first = true
  function* read(raws: readonly Buffer[]): Generator<RecordingLine> {
    for (const raw of raws) {
      const isFirst = first
      first = false
      const line = readLine(raw, isFirst)
      if (line) yield line
    }
  }
  try {
    for await (const chunk of open(file)) {
      const read_ = [...read(lines.split(chunk as Buffer))]
      if (read_.length > 0) yield read_
    }
    const rest = [...read(lines.end())]
    if (rest.length > 0) yield rest
  } catch (error) {
    throw new RecordingError(file, error)
  }
}

/** @returns undefined for a heading or an empty line */
export function readLine(raw: Buffer, isFirst = false): RecordingLine | undefined {
  if (raw.length > MAX_LINE_BYTES) {
    return { kind: 'rejected', raw, reason: 'line-length', detail: `the line is longer than ${MAX_LINE_BYTES} bytes` }
  }
  let text = raw.toString('utf8')
  if (isFirst && text.startsWith(BYTE_ORDER_MARK)) text = text.slice(1)
  if (text.trim() === '') return undefined
  const fields = text.split(',')
  if (isFirst && fields[0]?.trim().toLowerCase() === 'symbol') return undefined
  const [symbol, price, volume, timestamp] = fields
  if (fields.length !== 4) {
    return { kind: 'rejected', raw, reason: 'line-fields', detail: `the line has ${fields.length} fields instead of 4` }
  }
  const trade = {
    symbol,
    price: toNumber(price),
    volume: toNumber(volume),
    timestamp: toNumber(timestamp),
    conditions: null,
  }
  return { kind: 'trade', raw, trade }
}

/** Number('') is 0 and Number('0x10') is 16: a file that says so is broken. */
function toNumber(field: string | undefined): number {
  const text = field?.trim() ?? ''
  return NUMBER.test(text) ? Number(text) : NaN
}

function open(file: string): Readable {
  const bytes = createReadStream(file, { highWaterMark: 64 * 1024 })
  if (!file.endsWith('.gz')) return bytes
  // pipeline hands an error of the file on to the gunzip that is being read, and closes the file when reading ends early.
  return pipeline(bytes, createGunzip(), () => {})
}

/** Cuts a stream of bytes at newlines. A line longer than the limit is cut off there, its rest is passed over. */
class LineSplitter {
  #held: Buffer[] = []
  #heldBytes = 0

  split(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(this.#join(chunk.subarray(start, end)))
      start = end + 1
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start))
    return lines
  }

  /** What stands after the last newline. */
  end(): Buffer[] {
    return this.#heldBytes > 0 ? [this.#join(Buffer.alloc(0))] : []
  }

  #hold(part: Buffer): void {
    const room = MAX_LINE_BYTES + 1 - this.#heldBytes
    if (room <= 0) return
    const kept = part.subarray(0, room)
    this.#held.push(kept)
    this.#heldBytes += kept.length
  }

  #join(tail: Buffer): Buffer {
    let line = tail
    if (this.#heldBytes > 0) {
      this.#hold(tail)
      line = Buffer.concat(this.#held)
      this.#held = []
      this.#heldBytes = 0
    }
    return line[line.length - 1] === RETURN ? line.subarray(0, -1) : line
  }
}
