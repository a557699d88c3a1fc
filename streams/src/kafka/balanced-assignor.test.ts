import fc from 'fast-check'
import { expect, test } from 'vitest'
import { balancedAssignor } from './balanced-assignor.js'

function assign(counts: Record<string, number>, members: { memberId: string; topics: string[] }[]) {
  const assignor = balancedAssignor(async () => new Map(Object.entries(counts)))
  return assignor.assign(
    members.map((member) => ({ ...member, userData: Buffer.alloc(0) })),
    1,
  )
}

test('every partition has exactly one owner, and nobody has more than one partition more than another', async () => {
  const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 1, max: 20 }), { minKeys: 1 })
  const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 9 })
  await fc.assert(
    fc.asyncProperty(counts, ids, async (topics, memberIds) => {
      const members = memberIds.map((memberId) => ({ memberId, topics: Object.keys(topics) }))
      const assigned = await assign(topics, members)
      const owned = [...assigned.values()].flatMap(({ partitions }) =>
        [...partitions].flatMap(([topic, numbers]) => numbers.map((partition) => `${topic}-${partition}`)),
      )
      const all = Object.entries(topics).flatMap(([topic, n]) => Array.from({ length: n }, (_, i) => `${topic}-${i}`))
      expect(owned.sort()).toEqual(all.sort())
      const sizes = [...assigned.values()].map(({ partitions }) => [...partitions.values()].flat().length)
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
    }),
  )
})

test('the order in which members are listed does not matter', async () => {
  const members = ['m1', 'm2', 'm3'].map((memberId) => ({ memberId, topics: ['trades'] }))
  expect(await assign({ trades: 8 }, members)).toEqual(await assign({ trades: 8 }, [...members].reverse()))
})

test('a topic goes only to members that asked for it', async () => {
  const members = [
    { memberId: 'm1', topics: ['trades'] },
    { memberId: 'm2', topics: ['bars'] },
  ]
  const assigned = await assign({ trades: 2, bars: 1, nobody: 3 }, members)
  expect(assigned.get('m1')?.partitions).toEqual(new Map([['trades', [0, 1]]]))
  expect(assigned.get('m2')?.partitions).toEqual(new Map([['bars', [0]]]))
})
