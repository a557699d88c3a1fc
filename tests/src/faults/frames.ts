import { requestName, type RequestName } from './requests.js'

export interface FrameListener {
  /** A request begins; its bytes follow. undefined = one without a name here. */
  begins(request: RequestName | undefined): void
  bytes(bytes: Buffer): void
  /** All bytes of the request were handed over. */
  ends(): void
}

/** Size and api key: what is needed to know a request by. */
const HEAD_BYTES = 6
const SIZE_BYTES = 4

/** Finds the requests in what a client sends: four bytes of size, then the request, which begins with its api key. */
export class FrameReader {
  #head = Buffer.alloc(0)
  /** Of the request whose head was seen. */
  #leftBytes = 0

  constructor(private readonly listener: FrameListener) {}

  read(chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#leftBytes === 0) {
        const missing = HEAD_BYTES - this.#head.length
        this.#head = Buffer.concat([this.#head, rest.subarray(0, missing)])
        rest = rest.subarray(missing)
        if (this.#head.length < HEAD_BYTES) return
        this.#leftBytes = this.#head.readInt32BE(0) + SIZE_BYTES - HEAD_BYTES
        this.listener.begins(requestName(this.#head.readInt16BE(SIZE_BYTES)))
        this.listener.bytes(this.#head)
        this.#head = Buffer.alloc(0)
      }
      const part = rest.subarray(0, this.#leftBytes)
      rest = rest.subarray(part.length)
      this.#leftBytes -= part.length
      if (part.length > 0) this.listener.bytes(part)
      if (this.#leftBytes === 0) this.listener.ends()
    }
  }
}
