import { expect, test } from 'vitest'
import type { AssignmentMap } from './group-metadata.js'
import { learn, learnGeneration, NOTHING_KNOWN, TIMES_TOLD, type GroupReading, type KnownRouting } from './routing.js'

const map = (generation: number, epoch = `epoch ${generation}`): GroupReading => ({
  kind: 'map',
  map: { v: 2, epoch, generation, subTopologies: [], members: [], rejected: [], strangers: [] } as AssignmentMap,
})

const after = (...readings: GroupReading[]): KnownRouting => readings.reduce(learn, NOTHING_KNOWN)

test('the newest assignment is believed, and stays while the group is between two', () => {
  expect(after(map(4), map(5))).toMatchObject({ map: { generation: 5 }, generation: 5 })
  expect(after(map(4), map(5), { kind: 'between' })).toMatchObject({ map: { generation: 5 } })
})

test('a group that nobody is in has no map, and what is older is remembered', () => {
  const known = after(map(5), { kind: 'empty' })
  expect(known).toMatchObject({ map: undefined, generation: 5 })
  expect(learn(known, map(4)).map).toBeUndefined()
  expect(learn(known, map(6)).map).toMatchObject({ generation: 6 })
})

test('it never goes back to an older one that a coordinator tells now and then', () => {
  let known = after(map(5))
  for (let n = 0; n < 10; n++) {
    for (let times = 1; times < TIMES_TOLD; times++) known = learn(known, map(3, 'old'))
    known = learn(known, map(5))
    expect(known).toMatchObject({ map: { epoch: 'epoch 5' }, generation: 5, doubted: undefined })
  }
})

test('nor behind one that only an answer has told of', () => {
  const known = learnGeneration(after(map(5)), 6)
  expect(known).toMatchObject({ map: { generation: 5 }, generation: 6 })
  for (let n = 0; n < 10; n++) expect(learn(known, map(5))).toMatchObject({ generation: 6 })
  expect(learnGeneration(known, 2).generation).toBe(6)
})

test('a group that was deleted begins at 1 again: at once when that was seen', () => {
  expect(after(map(57), { kind: 'none' }, map(1))).toMatchObject({ map: { generation: 1 }, generation: 1 })
})

test('and when it fell between two readings, as soon as the coordinator has told it often enough', () => {
  const insisting = Array.from({ length: TIMES_TOLD - 1 }, () => map(1, 'new'))
  expect(after(map(57), ...insisting)).toMatchObject({ map: { generation: 57 }, generation: 57 })
  expect(after(map(57), ...insisting, map(1, 'new'))).toMatchObject({ map: { epoch: 'new' }, generation: 1 })
  expect(after(map(57), ...insisting, map(1, 'other'))).toMatchObject({ map: { generation: 57 } })
})
