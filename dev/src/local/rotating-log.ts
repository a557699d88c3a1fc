import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

export interface RotatingLogOptions {
  /** A file never grows past this. */
  maxBytes?: number
  /** How many full files are kept beside the current one: `x.log.1` is the newest of them. */
  keep?: number
}

const TAIL_BYTES = 16_384

/** What a child prints, in files of bounded size: at most (keep + 1) * maxBytes on the disk. The last lines are at hand for an error message. */
export class RotatingLog {
  readonly #maxBytes: number
  readonly #keep: number
  #file: number | undefined
  #sizeBytes = 0
  #tail = ''

  constructor(
    readonly path: string,
    { maxBytes = 10 * 1024 * 1024, keep = 2 }: RotatingLogOptions = {},
  ) {
    this.#maxBytes = maxBytes
    this.#keep = keep
    mkdirSync(dirname(path), { recursive: true })
    this.#open()
  }

  /** Appends; a chunk that no longer fits begins a new file. A full disk costs log lines, never the child. */
  write(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.toString()).slice(-TAIL_BYTES)
    for (let at = 0; at < chunk.length && this.#file !== undefined;) {
      if (this.#sizeBytes > 0 && this.#sizeBytes + Math.min(chunk.length - at, this.#maxBytes) > this.#maxBytes)
        this.#rotate()
      const part = chunk.subarray(at, at + this.#maxBytes)
      try {
        writeSync(this.#file, part)
      } catch {
        return
      }
      this.#sizeBytes += part.length
      at += part.length
    }
  }

  /** The newest lines written through this object. */
  lastLines(count: number): string[] {
    return this.#tail.trimEnd().split('\n').slice(-count)
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  #open(): void {
    this.#file = openSync(this.path, 'a')
    this.#sizeBytes = fstatSync(this.#file).size
  }

  #rotate(): void {
    this.close()
    for (let n = this.#keep; n > 0; n--) {
      try {
        renameSync(n === 1 ? this.path : `${this.path}.${n - 1}`, `${this.path}.${n}`)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    this.#open()
  }
}
