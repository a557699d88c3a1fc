import { describe, expect, it } from 'vitest'
import { GapLog, type Gap } from './gaps.js'

function createLog(limit?: number) {
  const begun: Gap[] = []
  const ended: Gap[] = []
  const gaps = new GapLog({ onBegin: (gap) => begun.push(gap), onEnd: (gap) => ended.push({ ...gap }) }, limit)
  return { gaps, begun, ended }
}

describe('the log of gaps', () => {
  it('keeps where a gap began, where it ended and why', () => {
    const { gaps, begun, ended } = createLog()
    gaps.begin('feed', 'disconnected', 'closed with code 1006', 1_000)
    expect(gaps.list()).toEqual([{ cause: 'disconnected', detail: 'closed with code 1006', from: 1_000, to: null }])
    gaps.end('feed', 4_500)
    expect(gaps.list()).toMatchObject([{ from: 1_000, to: 4_500 }])
    expect([begun.length, ended]).toEqual([1, [expect.objectContaining({ to: 4_500 })]])
  })

  it('goes on with the first beginning when connections fail again and again', () => {
    const { gaps, begun } = createLog()
    gaps.begin('feed', 'silence', 'first', 1_000)
    gaps.begin('feed', 'disconnected', 'second', 2_000)
    gaps.end('feed', 3_000)
    expect(gaps.list()).toMatchObject([{ cause: 'silence', from: 1_000, to: 3_000 }])
    expect(begun.length).toBe(1)
  })

  it('keeps gaps of different kinds apart', () => {
    const { gaps } = createLog()
    gaps.begin('overflow', 'overflow', '', 1_000)
    gaps.begin('feed', 'disconnected', '', 2_000)
    gaps.end('feed', 3_000)
    expect(gaps.list()).toMatchObject([
      { cause: 'overflow', to: null },
      { cause: 'disconnected', to: 3_000 },
    ])
  })

  it('ends nothing that has not begun, and never before it began', () => {
    const { gaps, ended } = createLog()
    gaps.end('feed', 1_000)
    expect(ended).toEqual([])
    gaps.begin('feed', 'disconnected', '', 5_000)
    gaps.end('feed', 4_000)
    expect(gaps.list()).toMatchObject([{ from: 5_000, to: 5_000 }])
  })

  it('keeps the last ones only', () => {
    const { gaps } = createLog(100)
    for (let i = 0; i < 250; i++) {
      gaps.begin('feed', 'disconnected', '', i)
      gaps.end('feed', i)
    }
    expect(gaps.list().map(({ from }) => from)).toEqual(Array.from({ length: 100 }, (_, i) => 150 + i))
  })
})
