/** Reads LevelDB's numbers of variable length: seven bits a byte, least first. @throws RangeError at a cut */
export function readVarint(bytes: Buffer, start: number): [value: number, end: number] {
  let value = 0
  for (let at = start, factor = 1; at < bytes.length && at < start + 10; at++, factor *= 128) {
    const byte = bytes[at]!
    value += (byte & 127) * factor
    if (byte < 128) return [value, at + 1]
  }
  throw new RangeError(`a number is cut off at ${start}`)
}
