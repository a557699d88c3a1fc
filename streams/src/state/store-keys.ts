import type { KeyRange } from './engine.js'

/**
 * How the stores of a task share its engine. The first byte tells what a key is:
 *
 *     0x00 'task'                                   the task's meta (task-meta.ts)
 *     0x01 <store name> 0x00 <store key>            one value of a store
 *
 * A store key is what the changelog has as key: the bytes of the key, and for windows
 * `<length of the key: 2 bytes> <key> <start: 8 bytes>`, so that one key's windows lie together, ascending by start,
 * whatever bytes the key has.
 */
export const META_KEY = Buffer.from([0x00, ...Buffer.from('task')])

/** Every key there can be. */
export const ALL_KEYS: KeyRange = { from: Buffer.from([0x00]), to: Buffer.from([0x02]) }

/** What stands before every key of a store. */
export function storePrefix(storeName: string): Buffer {
  return Buffer.concat([Buffer.from([0x01]), Buffer.from(storeName, 'utf8'), Buffer.from([0x00])])
}

/** All keys of a store. */
export function storeRange(storeName: string): KeyRange {
  const from = storePrefix(storeName)
  const to = Buffer.from(from)
  to[to.length - 1] = 0x01
  return { from, to }
}

/** The first key after all that begin with these bytes; undefined where none is (nothing but 0xff). */
export function keyEnd(prefix: Buffer): Buffer | undefined {
  const last = prefix.findLastIndex((byte) => byte < 0xff)
  if (last < 0) return undefined
  const end = Buffer.from(prefix.subarray(0, last + 1))
  end[last]! += 1
  return end
}

/** The store key of a window. */
export function windowKey(key: Buffer, startMs: number): Buffer {
  if (key.length > 0xffff) throw new RangeError(`a key of ${key.length} bytes: windows take keys of at most 65,535`)
  const bytes = Buffer.allocUnsafe(2 + key.length + 8)
  bytes.writeUInt16BE(key.length, 0)
  key.copy(bytes, 2)
  writeStart(bytes, startMs, 2 + key.length)
  return bytes
}

/** The same window key for another start. */
export function windowKeyAt(key: Buffer, startMs: number): Buffer {
  const bytes = Buffer.from(key)
  writeStart(bytes, startMs, bytes.length - 8)
  return bytes
}

/** Start of the window in the last eight bytes before `end`. */
export function windowStartOf(bytes: Buffer, end = bytes.length): number {
  return bytes.readUInt32BE(end - 8) * 0x1_0000_0000 + bytes.readUInt32BE(end - 4)
}

/** Where the key lies within a window key that begins at `start`. */
export function keyBoundsOf(bytes: Buffer, start = 0): { keyStart: number; keyEnd: number } {
  const keyStart = start + 2
  return { keyStart, keyEnd: keyStart + bytes.readUInt16BE(start) }
}

function writeStart(bytes: Buffer, startMs: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(startMs / 0x1_0000_0000), at)
  bytes.writeUInt32BE(startMs % 0x1_0000_0000, at + 4)
}
