import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { EngineEntry } from './engine.js'
import { MemoryEngine } from './memory-engine.js'
import { overlaid } from './overlay.js'

const key = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 }).map((text) => Buffer.from(text))
const end = Buffer.from('z')

it('what lies over an engine is seen as if it were in it: changed, new and deleted keys, whatever part is read', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(key, { selector: String }),
      fc.uniqueArray(fc.record({ key, deleted: fc.boolean() }), { selector: (change) => String(change.key) }),
      fc.record({
        from: key,
        to: fc.option(key, { nil: undefined }),
        reverse: fc.boolean(),
        limit: fc.option(fc.nat(12), { nil: undefined }),
      }),
      async (stored, changes, { from, to, reverse, limit }) => {
        const engine = new MemoryEngine()
        await engine.write(stored.map((key) => ({ key, value: Buffer.from('stored') })))
        const over = changes
          .map(({ key, deleted }) => ({ key, value: deleted ? undefined : Buffer.from('changed') }))
          .sort((a, b) => a.key.compare(b.key))
        const scan = { from, to, reverse, ...(limit !== undefined && { limit }) }
        const read: string[] = []
        const base = (scan: { from: Buffer; to: Buffer | undefined }) => engine.entries({ ...scan, to: scan.to ?? end })
        for await (const [key, value] of overlaid(base, over, scan)) read.push(`${String(key)}=${String(value)}`)

        const model = new Map<string, EngineEntry>(stored.map((key) => [String(key), [key, Buffer.from('stored')]]))
        for (const { key, value } of over) {
          if (value === undefined) model.delete(String(key))
          else model.set(String(key), [key, value])
        }
        const expected = [...model.values()]
          .filter(([key]) => key.compare(from) >= 0 && (to === undefined || key.compare(to) < 0))
          .sort(([a], [b]) => (reverse ? b.compare(a) : a.compare(b)))
          .slice(0, limit)
        expect(read).toEqual(expected.map(([key, value]) => `${String(key)}=${String(value)}`))
      },
    ),
    { numRuns: 1_000 },
  )
})
