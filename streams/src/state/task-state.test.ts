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
const inputs = new Map([['in', 7]])

describe('the state of a task', () => {
  it('is where it was after a crash of the process: the position of the last batch, in the same batch', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.persist({ changes: change('a', '1'), positions: at(5), inputs, clock: '{}' })
    await state.persist({ changes: change('a', '2'), positions: at(9), inputs, clock: '{}' })
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
    await state.persist({ changes: change('a', '1'), positions: at(5), inputs, clock: '{}' }, { wallMs: 0, ms: 0 })
    await state.persist({ changes: change('a', '2'), positions: at(9), inputs, clock: '{}' }, { wallMs: 1, ms: 1 })
    await state.engine.close()
    const again = await open('another boot')
    expect(again.changelog('sums')?.position).toBe(5)
    await again.close()
  })

  it('is trusted after a clean close, whatever happened to the machine', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.persist({ changes: change('a', '1'), positions: at(5), inputs, clock: '{}' }, { wallMs: 0, ms: 0 })
    await state.persist({ changes: change('a', '2'), positions: at(9), inputs, clock: '{}' }, { wallMs: 1, ms: 1 })
    await state.close()
    const again = await open('another boot')
    expect(again.changelog('sums')?.position).toBe(9)
    await again.close()
  })

  it('no longer knows its input offset once it went on by a changelog', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.persist({ changes: change('a', '1'), positions: at(5), inputs, clock: '{"streamTimeMs":3}' })
    await state.persist({ changes: change('a', '2'), positions: at(9), inputs: undefined, clock: '{}' })
    expect(state.meta.inputs).toEqual({})
    await state.close()
  })

  it('writes nothing more after a failed write, until it was opened again', async () => {
    const state = await open()
    state.begin('sums', 'topic-id', 0)
    await state.engine.close()
    await expect(state.persist({ changes: change('a', '1'), positions: at(5), inputs, clock: '{}' })).rejects.toThrow()
    expect(state.broken).toBe(true)
    await expect(state.remove([Buffer.from('a')])).rejects.toThrow('opened again')
    await state.reopen()
    expect(state.broken).toBe(false)
    expect(state.changelog('sums')).toBeUndefined()
    await state.close()
  })
})
