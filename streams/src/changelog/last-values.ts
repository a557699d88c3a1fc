import type { EngineWrite } from '../state/engine.js'

const FIELDS = 5
const EMPTY = -1

/**
 * The last value per key of a chunk, found without an object or a copy for each record: a hash table over the places of
 * keys and values in the fetched bytes. Used again for the next chunk after clear(); grows to the largest it has seen.
 */
export class LastValues {
  /** Open addressing: the number of an entry, or EMPTY. Twice as many slots as entries at least. */
  #slots = new Int32Array(1024).fill(EMPTY)
  /** Per entry: buffer, keyStart, keyEnd, valueStart, valueEnd. */
  #entries = new Int32Array(512 * FIELDS)
  #count = 0
  #buffers: Buffer[] = []

  get size(): number {
    return this.#count
  }

  clear(): void {
    this.#slots.fill(EMPTY)
    this.#buffers = []
    this.#count = 0
  }

  /** An end before its start means null: the key is deleted. */
  set(bytes: Buffer, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): void {
    if (this.#buffers.at(-1) !== bytes) this.#buffers.push(bytes)
    let slot = this.#slotOf(bytes, keyStart, keyEnd)
    let entry = this.#slots[slot]!
    if (entry === EMPTY) {
      if (this.#count * 2 >= this.#slots.length) {
        this.#grow()
        slot = this.#slotOf(bytes, keyStart, keyEnd)
      }
      entry = this.#count++
      this.#slots[slot] = entry
    }
    const at = entry * FIELDS
    this.#entries[at] = this.#buffers.length - 1
    this.#entries[at + 1] = keyStart
    this.#entries[at + 2] = keyEnd
    this.#entries[at + 3] = valueStart
    this.#entries[at + 4] = valueEnd
  }

  /** Views into the bytes that were given, in the order in which keys came first. */
  toWrites(): EngineWrite[] {
    const writes = new Array<EngineWrite>(this.#count)
    for (let entry = 0, at = 0; entry < this.#count; entry++, at += FIELDS) {
      const bytes = this.#buffers[this.#entries[at]!]!
      const valueStart = this.#entries[at + 3]!
      const valueEnd = this.#entries[at + 4]!
      writes[entry] = {
        key: bytes.subarray(this.#entries[at + 1]!, this.#entries[at + 2]!),
        value: valueEnd < valueStart ? undefined : bytes.subarray(valueStart, valueEnd),
      }
    }
    return writes
  }

  /** The slot that holds the key, or the empty one where it belongs. */
  #slotOf(bytes: Buffer, keyStart: number, keyEnd: number): number {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hashOf(bytes, keyStart, keyEnd) & mask
    for (let entry; (entry = slots[slot]!) !== EMPTY; slot = (slot + 1) & mask) {
      const at = entry * FIELDS
      const known = this.#buffers[this.#entries[at]!]!
      if (isSame(known, this.#entries[at + 1]!, this.#entries[at + 2]!, bytes, keyStart, keyEnd)) break
    }
    return slot
  }

  #grow(): void {
    const entries = new Int32Array(this.#entries.length * 2)
    entries.set(this.#entries)
    this.#entries = entries
    this.#slots = new Int32Array(this.#slots.length * 2).fill(EMPTY)
    for (let entry = 0, at = 0; entry < this.#count; entry++, at += FIELDS) {
      const bytes = this.#buffers[entries[at]!]!
      this.#slots[this.#slotOf(bytes, entries[at + 1]!, entries[at + 2]!)] = entry
    }
  }
}

/** FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/, with the high bits mixed in: only low ones choose the slot. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

function isSame(a: Buffer, aStart: number, aEnd: number, b: Buffer, bStart: number, bEnd: number): boolean {
  if (aEnd - aStart !== bEnd - bStart) return false
  for (let at = 0; aStart + at < aEnd; at++) if (a[aStart + at] !== b[bStart + at]) return false
  return true
}
