import { KafkaError } from './errors.js'
import type { PartitionQueue } from './partition-queue.js'

/** Who waits until all these queues have settled what they had taken. */
interface FlushWaiter {
  readonly targets: ReadonlyMap<PartitionQueue, number>
  readonly resolve: () => void
  readonly reject: (error: KafkaError) => void
}

/** How much a producer has taken and not settled, and who waits for it to become less. */
export class ProducerBuffer {
  readonly #maxBytes: number
  #sizeBytes = 0
  #belowWaiters: { bytes: number; resolve: () => void }[] = []
  #flushWaiters: FlushWaiter[] = []

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** As encoded before compression. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** More than half full: nothing should linger. */
  get isCrowded(): boolean {
    return this.#sizeBytes * 2 > this.#maxBytes
  }

  /** One record of any size always fits into an empty buffer. */
  hasRoomFor(bytes: number): boolean {
    return this.#sizeBytes === 0 || this.#sizeBytes + bytes <= this.#maxBytes
  }

  add(bytes: number): void {
    this.#sizeBytes += bytes
  }

  /** Something was settled; to be called after its queue has counted it. */
  release(bytes: number): void {
    this.#sizeBytes -= bytes
    const belowNow = this.#belowWaiters.filter((waiter) => this.#sizeBytes <= waiter.bytes)
    if (belowNow.length > 0) {
      this.#belowWaiters = this.#belowWaiters.filter((waiter) => !belowNow.includes(waiter))
      for (const { resolve } of belowNow) resolve()
    }
    if (this.#flushWaiters.length === 0) return
    const flushed = this.#flushWaiters.filter(isFlushed)
    this.#flushWaiters = this.#flushWaiters.filter((waiter) => !flushed.includes(waiter))
    for (const { resolve } of flushed) resolve()
  }

  /** Resolves when at most `bytes` are buffered, or the producer has stopped. */
  whenBelow(bytes: number): Promise<void> {
    if (this.#sizeBytes <= bytes) return Promise.resolve()
    return new Promise((resolve) => this.#belowWaiters.push({ bytes, resolve }))
  }

  /** Resolves when each queue has settled so many records. Throws CLOSED. */
  whenSettled(targets: ReadonlyMap<PartitionQueue, number>): Promise<void> {
    return new Promise((resolve, reject) => this.#flushWaiters.push({ targets, resolve, reject }))
  }

  /** Nothing is settled any more: nobody waits for ever. */
  halt(): void {
    for (const { resolve } of this.#belowWaiters) resolve()
    for (const { reject } of this.#flushWaiters) reject(KafkaError.closed(true))
    this.#belowWaiters = []
    this.#flushWaiters = []
  }
}

function isFlushed({ targets }: FlushWaiter): boolean {
  return [...targets].every(([queue, taken]) => queue.settled >= taken)
}
