import { createRequire } from 'node:module'
import { messageOf } from '../../errors.js'

/** One compression codec of record batches. Synchronous: records are read where they lie, one batch at a time. */
export interface Codec {
  /**
   * @throws CodecMissing where it cannot be loaded; any other error for bytes that do not inflate, or to more than
   *   `maxBytes`, which is found out before memory is taken for them
   */
  inflate(compressed: Buffer, maxBytes: number): Buffer
  /** @throws CodecMissing where it cannot be loaded */
  deflate(plain: Buffer): Buffer
}

/** A codec's library cannot be loaded: it is not installed, or has no binary for this platform. */
export class CodecMissing extends Error {
  constructor(codec: string, remedy: string, cause: unknown) {
    super(`the codec ${codec} cannot be loaded on ${process.platform}-${process.arch}: ${remedy}`, { cause })
    this.name = 'CodecMissing'
  }
}

const require = createRequire(import.meta.url)

/**
 * Loads a codec's package when it is first needed: most processes never meet most codecs, and a platform without one
 * of the binaries still reads everything else.
 * @throws CodecMissing
 */
export function loadPackage(codec: string, name: string, alternative = ''): unknown {
  try {
    return require(name)
  } catch (cause) {
    const remedy = `install the npm package ${name} with its optional dependency for this platform${alternative}`
    throw new CodecMissing(codec, `${remedy} (${messageOf(cause).split('\n')[0]})`, cause)
  }
}

/** The error for bytes that would inflate to more than is allowed. */
export function tooLarge(bytes: number, maxBytes: number): RangeError {
  return new RangeError(`it would inflate to ${bytes} bytes; at most ${maxBytes} are allowed`)
}

/** A look into compressed bytes that may end anywhere. */
export class FrameReader {
  position = 0
  constructor(readonly bytes: Buffer) {}

  get atEnd(): boolean {
    return this.position === this.bytes.length
  }

  /** Moves on. @throws RangeError at a cut */
  skip(count: number): void {
    if (count > this.bytes.length - this.position) throw new RangeError('the frame is cut off')
    this.position += count
  }

  /** An unsigned number of 1 to 6 bytes, least first. @throws RangeError at a cut */
  uintLE(size: number): number {
    this.skip(size)
    return this.bytes.readUIntLE(this.position - size, size)
  }
}
