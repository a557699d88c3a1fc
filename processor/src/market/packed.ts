/**
 * The bytes states are stored as: whole numbers as varints (7 bits a byte, lowest first), prices and sums as they are
 * in memory (8 bytes, little endian), so that nothing changes on the way. The first byte is the format's version.
 */
export class PackedWriter {
  /** Larger than any state: a minute with all its slots takes under 1,000 bytes. */
  readonly #bytes = Buffer.allocUnsafeSlow(4096)
  #at = 0

  start(version: number): void {
    this.#at = 0
    this.byte(version)
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value
  }

  /** A whole number from 0 to 2^53 - 1. */
  whole(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  double(value: number): void {
    this.#at = this.#bytes.writeDoubleLE(value, this.#at)
  }

  /** Six numbers at most, most of which are often 0: a byte says which are not. */
  doubles(values: readonly number[]): void {
    const maskAt = this.#at++
    let mask = 0
    for (let index = 0; index < values.length; index++) {
      if (Object.is(values[index], 0)) continue
      mask |= 1 << index
      this.double(values[index]!)
    }
    this.#bytes[maskAt] = mask
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at))
  }
}

/** Stored bytes that no build of this format wrote: the store is damaged or newer than this build. */
export class PackedError extends Error {
  readonly code = 'STATE_FORMAT'
  constructor(message: string) {
    super(message)
    this.name = 'PackedError'
  }
}

/** Reads in place what a PackedWriter wrote. */
export class PackedReader {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0

  /** @throws PackedError when the version is not the one expected */
  start(bytes: Buffer, start: number, end: number, expected: { what: string; version: number }): void {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    const version = this.byte()
    if (version === expected.version) return
    throw new PackedError(`${expected.what}: format ${version} is unknown (this build reads ${expected.version})`)
  }

  byte(): number {
    if (this.#at >= this.#end) throw new PackedError('the state ends too early')
    return this.#bytes[this.#at++]!
  }

  whole(): number {
    let value = 0
    let scale = 1
    for (let byte = this.byte(); ; byte = this.byte(), scale *= 0x80) {
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  double(): number {
    const at = this.#at
    if (at + 8 > this.#end) throw new PackedError('the state ends too early')
    this.#at = at + 8
    return this.#bytes.readDoubleLE(at)
  }

  /** Where the six numbers of `doubles` begin: their mask, after which `double` is called for each that is set. */
  mask(): number {
    return this.byte()
  }

  /** @throws PackedError when bytes are left over */
  finish(): void {
    if (this.#at !== this.#end) throw new PackedError(`${this.#end - this.#at} bytes follow the state`)
  }
}
