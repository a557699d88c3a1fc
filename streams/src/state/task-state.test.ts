import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LevelDbEngine } from './leveldb-engine.js'
import { TaskState } from './task-state.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'candlewick-task-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function open(bootId = 'this boot'): Promise<TaskState> {
  const state = new TaskState('0_0', directory, bootId, (where) => new LevelDbEngine(where))
  await state.open()
  return state
}

const change = (key: string, value: string) =>
  new Map([['sums', [{ key: Buffer.from(key), value: Buffer.from(value) }]]])
const at = (position: number) => new Map([['sums', position]])
const progress = { inputs: { in: 7 }, clock: '{}' }

describe('the state of a task', () => {
  it('is where it was after a crash of the process: the position of the last batch, in the same batch', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.persist({ changes: change('a', '1'), positions: at(5), progress })
    await state.persist({ changes: change('a', '2'), positions: at(9), progress })
    await state.engine.close() // no clean close: what a killed process leaves behind
    const again = await open()
    expect(again.found).toBe(true)
    expect(again.changelog('sums')).toMatchObject({ topicId: 'topic-id', position: 9 })
    expect(again.meta.inputs).toEqual({ in: 7 })
    await again.close()
  })

  it('goes back to what was synced when the machine was restarted without a clean close', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.persist({ changes: change('a', '1'), positions: at(5), progress }, { wallMs: 0, ms: 0 })
    await state.persist({ changes: change('a', '2'), positions: at(9), progress }, { wallMs: 1, ms: 1 })
    await state.engine.close()
    const again = await open('another boot')
    expect(again.changelog('sums')?.position).toBe(5)
    await again.close()
  })

  it('is trusted after a clean close, whatever happened to the machine', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.persist({ changes: change('a', '1'), positions: at(5), progress }, { wallMs: 0, ms: 0 })
    await state.persist({ changes: change('a', '2'), positions: at(9), progress }, { wallMs: 1, ms: 1 })
    await state.close()
    const again = await open('another boot')
    expect(again.changelog('sums')?.position).toBe(9)
    await again.close()
  })

  it('is as old as the moment until which it was current, not as its last change', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.persist({ changes: change('a', '1'), positions: at(5), progress }, { wallMs: 1_000, ms: 0 })
    await state.touch({ wallMs: 5_000, ms: 1 })
    expect(state.meta).toMatchObject({ persistedAtMs: 5_000, cleanClose: false })
    await state.close(9_000)
    const again = await open()
    expect(again.meta).toMatchObject({ persistedAtMs: 9_000, cleanClose: true })
    await again.close()
  })

  describe('knows which input it belongs to', () => {
    const piece = (store: string, position: number, input: number | null | undefined) => ({
      store,
      changes: [],
      position,
      progress: typeof input === 'number' ? { inputs: { in: input }, clock: `{"streamTimeMs":${input}}` } : input,
    })

    it('by what its changelogs tell, whichever of them tells the newest', async () => {
      const state = await open()
      for (const store of ['sums', 'counts']) state.begin(store, `id of ${store}`, 0)
      expect(state.progress).toBeUndefined()
      await state.replay(piece('sums', 5, 7))
      await state.replay(piece('counts', 9, 3))
      expect(state.progress).toEqual({ inputs: { in: 7 }, clock: '{"streamTimeMs":7}' })
      await state.close()
      const again = await open()
      expect(again.progress?.inputs).toEqual({ in: 7 })
      await again.close()
    })

    it('not while a change was replayed that does not tell, and again with the next one that does', async () => {
      const state = await open()
      for (const store of ['sums', 'counts']) state.begin(store, `id of ${store}`, 0)
      await state.persist({ changes: change('a', '1'), positions: at(5), progress })
      await state.replay(piece('counts', 4, null))
      expect(state.progress).toBeUndefined()
      await state.replay(piece('counts', 6, undefined))
      expect(state.progress).toBeUndefined()
      await state.replay(piece('counts', 8, 9))
      expect(state.progress?.inputs).toEqual({ in: 9 })
      await state.close()
    })

    it('by its own commit, which is newer than anything it replayed', async () => {
      const state = await open()
      state.begin('sums', 'topic-id', 0)
      await state.replay(piece('sums', 4, null))
      await state.persist({ changes: change('a', '1'), positions: at(5), progress })
      expect(state.progress).toEqual(progress)
      await state.close()
    })
  })

  it('writes nothing more after a failed write, until it was opened again', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.engine.close()
    await expect(state.persist({ changes: change('a', '1'), positions: at(5), progress })).rejects.toThrow()
    expect(state.broken).toBe(true)
    await expect(state.remove([Buffer.from('a')])).rejects.toThrow('opened again')
    await state.reopen()
    expect(state.broken).toBe(false)
    expect(state.changelog('sums')).toBeUndefined()
    await state.close()
  })
})
