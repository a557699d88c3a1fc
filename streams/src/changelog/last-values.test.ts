import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LastValues } from './last-values.js'

const part = fc.uint8Array({ maxLength: 3 })
const records = fc.array(fc.tuple(part, fc.option(part)), { maxLength: 2_000 })

/** Lays records out in buffers of at most `perBuffer` records, as batches are. */
function fill(values: LastValues, all: readonly (readonly [Uint8Array, Uint8Array | null])[], perBuffer: number): void {
  for (let first = 0; first < all.length; first += perBuffer) {
    const some = all.slice(first, first + perBuffer)
    const bytes = Buffer.concat(some.flatMap(([key, value]) => [key, value ?? Buffer.alloc(0)]))
    let at = 0
    for (const [key, value] of some) {
      const keyEnd = at + key.length
      const end = keyEnd + (value?.length ?? 0)
      values.set(bytes, at, keyEnd, keyEnd, value === null ? -1 : end)
      at = end
    }
  }
}

test('has what a map of the keys would have, whatever they are, and is empty again after clear()', () => {
  const values = new LastValues()
  fc.assert(
    fc.property(records, fc.integer({ min: 1, max: 50 }), (all, perBuffer) => {
      values.clear()
      fill(values, all, perBuffer)
      const wanted = new Map(all.map(([key, value]) => [Buffer.from(key).toString('hex'), value && Buffer.from(value)]))
      const found = new Map(values.toWrites().map(({ key, value }) => [key.toString('hex'), value ?? null]))
      expect(values.size).toBe(wanted.size)
      expect([...found]).toEqual([...wanted])
    }),
  )
})
