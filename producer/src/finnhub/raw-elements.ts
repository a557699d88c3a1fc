const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/**
 * The bytes of the elements of a frame's `data` list as they came: JSON.parse does not tell where a value stood.
 * The frame is walked once, at the first question, which comes only for a trade that is rejected.
 */
export class RawElements {
  #bounds: readonly number[] | undefined

  /** @param frame valid JSON, an object */
  constructor(private readonly frame: Buffer) {}

  /** @returns undefined when there is no such element */
  at(index: number): Buffer | undefined {
    this.#bounds ??= elementBounds(this.frame)
    const start = this.#bounds[2 * index]
    return start === undefined ? undefined : this.frame.subarray(start, this.#bounds[2 * index + 1])
  }
}

/** Start and end of each element, one after the other. */
function elementBounds(frame: Buffer): number[] {
  const bounds: number[] = []
  const list = dataStart(frame)
  if (list === undefined || frame[list] !== OPEN_BRACKET) return bounds
  let at = skipBlanks(frame, list + 1)
  while (at < frame.length && frame[at] !== CLOSE_BRACKET) {
    const end = skipValue(frame, at)
    bounds.push(at, end)
    at = skipBlanks(frame, end)
    if (frame[at] === COMMA) at = skipBlanks(frame, at + 1)
  }
  return bounds
}

/** Where the value of the top-level key `data` begins; of a repeated key the last one counts, as for JSON.parse. */
function dataStart(frame: Buffer): number | undefined {
  let found: number | undefined
  let at = skipBlanks(frame, skipBlanks(frame, 0) + 1)
  while (at < frame.length && frame[at] !== CLOSE_BRACE) {
    const keyEnd = skipValue(frame, at)
    const key: unknown = JSON.parse(frame.toString('utf8', at, keyEnd))
    at = skipBlanks(frame, keyEnd)
    if (frame[at] === COLON) at = skipBlanks(frame, at + 1)
    if (key === 'data') found = at
    at = skipBlanks(frame, skipValue(frame, at))
    if (frame[at] === COMMA) at = skipBlanks(frame, at + 1)
  }
  return found
}

/** @returns the position after the value that begins at `at` */
function skipValue(frame: Buffer, at: number): number {
  const first = frame[at]
  if (first === QUOTE) return skipText(frame, at)
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return skipScalar(frame, at)
  let depth = 0
  while (at < frame.length) {
    const byte = frame[at]
    if (byte === QUOTE) {
      at = skipText(frame, at)
      continue
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--
    at++
    if (depth === 0) return at
  }
  return at
}

function skipText(frame: Buffer, at: number): number {
  for (at++; at < frame.length; at++) {
    if (frame[at] === BACKSLASH) at++
    else if (frame[at] === QUOTE) return at + 1
  }
  return at
}

function skipScalar(frame: Buffer, at: number): number {
  while (at < frame.length && !isBlank(frame[at]) && !isEndOfScalar(frame[at])) at++
  return at
}

function skipBlanks(frame: Buffer, at: number): number {
  while (at < frame.length && isBlank(frame[at])) at++
  return at
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function isEndOfScalar(byte: number | undefined): boolean {
  return byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET
}
