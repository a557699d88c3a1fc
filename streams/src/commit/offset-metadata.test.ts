import { describe, expect, it } from 'vitest'
import { TaskClock } from '../processing/task-clock.js'
import { changelogsIn, isResetUnfinished, namesChangelogs, offsetMetadata, resetUnfinished } from './offset-metadata.js'

const clock = new TaskClock()
clock.observe(1_700_000_000_000, 1_700_000_000_500)
const CLOCK = clock.toMetadata()
const topicId = '2f4e0b1c-0000-4000-8000-0123456789ab'

describe('what is committed with the offsets', () => {
  it('brings back the clocks, and how far every changelog was', () => {
    const changelogs = { sums: { topicId, end: 12 }, counts: { topicId: 'other', end: 2 ** 40 } }
    const metadata = offsetMetadata(CLOCK, changelogs)
    const restored = new TaskClock()
    restored.restore(metadata)
    expect(restored).toEqual(clock)
    expect(changelogsIn(metadata)).toEqual(changelogs)
  })

  it('is never longer than a broker takes by default, 4096 bytes: past that the clocks go alone', () => {
    const ofStore = (length: number) => offsetMetadata(CLOCK, { ['x'.repeat(length)]: { topicId, end: 1 } })
    const fits = 4096 - offsetMetadata(CLOCK, { '': { topicId, end: 1 } }).length
    expect(Buffer.byteLength(ofStore(fits))).toBe(4096)
    expect(changelogsIn(ofStore(fits))).not.toEqual({})
    expect(ofStore(fits + 1)).toBe(CLOCK)
    expect(changelogsIn(CLOCK)).toEqual({})
  })

  it('tells a topology without stores from one of which nothing is known', () => {
    expect([offsetMetadata(CLOCK, {}), resetUnfinished([])].map(namesChangelogs)).toEqual([true, true])
    expect([CLOCK, '', 'set by a tool', 'null'].map(namesChangelogs)).toEqual([false, false, false, false])
  })

  it.each(['', 'set by a tool', 'null', '7', '{"changelogs":7}', '{"changelogs":[null]}'])(
    'tells of no changelog where it is not ours: %j',
    (metadata) => {
      expect(changelogsIn(metadata)).toEqual({})
    },
  )

  it('tells an unfinished reset from everything that a commit writes', () => {
    const mark = resetUnfinished(['sums', 'counts'])
    expect(isResetUnfinished(mark)).toBe(true)
    const written = [CLOCK, offsetMetadata(CLOCK, { reset: { topicId: 'unfinished', end: 1 } }), '', '{}', 'null', '7']
    expect(written.filter(isResetUnfinished)).toEqual([])
    expect(Object.keys(changelogsIn(mark))).toEqual(['sums', 'counts'])
    expect(isResetUnfinished(resetUnfinished(Array.from({ length: 100 }, (_, n) => `a store's name ${n}`)))).toBe(true)
  })
})
