import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergePages, type TaskPage } from './page-merge.js'

const NOTHING = Buffer.alloc(0)
const compare = (a: Buffer, b: Buffer) => a.compare(b)

/** Keys spread over tasks, each of which gives pages of a length of its own. */
const spread = fc.record({
  keys: fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 3 }), {
    selector: (key) => Buffer.from(key).toString('hex'),
    maxLength: 40,
  }),
  tasks: fc.integer({ min: 1, max: 5 }),
  limit: fc.integer({ min: 1, max: 12 }),
  cuts: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 5, maxLength: 5 }),
  reverse: fc.boolean(),
})

test('pages read one after the other give every key of all tasks once, in order, none longer than the limit', () => {
  fc.assert(
    fc.property(spread, ({ keys, tasks, limit, cuts, reverse }) => {
      const order = reverse ? (a: Buffer, b: Buffer) => compare(b, a) : compare
      const all = keys.map((key) => Buffer.from(key)).sort(order)
      const held = Array.from({ length: tasks }, (_, task) => all.filter((key) => key[0]! % tasks === task))
      const pageOf = (task: number, after: Buffer | undefined): TaskPage => {
        const left = held[task]!.filter((key) => after === undefined || order(key, after) > 0)
        // A task cuts its page at the limit, or sooner when its values are large.
        const size = Math.min(limit, cuts[task]!)
        return { entries: left.slice(0, size).map((key) => [key, NOTHING]), more: left.length > size }
      }
      const seen: Buffer[] = []
      let after: Buffer | undefined
      for (;;) {
        const page = mergePages(
          held.map((_, task) => pageOf(task, after)),
          { limit, reverse },
        )
        expect(page.entries.length).toBeLessThanOrEqual(limit)
        seen.push(...page.entries.map(([key]) => key))
        if (!page.more) break
        expect(page.entries.length).toBeGreaterThan(0)
        after = seen.at(-1)
      }
      expect(seen.map((key) => key.toString('hex'))).toEqual(all.map((key) => key.toString('hex')))
    }),
  )
})

test('a key that several tasks have is not torn apart: the next page begins behind it', () => {
  const entry = (key: string, value: string) => [Buffer.from(key), Buffer.from(value)] as const
  const pages = [
    { entries: [entry('a', '1'), entry('b', '1')], more: false },
    { entries: [entry('b', '2'), entry('c', '2')], more: false },
  ]
  const { entries, more } = mergePages(pages, { limit: 2, reverse: false })
  expect(entries.map(String)).toEqual(['a,1', 'b,1', 'b,2'])
  expect(more).toBe(true)
})
