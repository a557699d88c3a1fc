import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { engineSuite } from './engine.suite.js'
import { RocksDbEngine } from './rocksdb-engine.js'
import { TaskState } from './task-state.js'

let installed = true
try {
  createRequire(import.meta.url).resolve('@nxtedition/rocksdb')
} catch {
  installed = false
  process.stderr.write('@nxtedition/rocksdb is not installed: the engine rocksdb is not tested\n')
}

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'candlewick-rocksdb-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe.skipIf(!installed)('RocksDB', () => {
  engineSuite('RocksDB', { make: () => new RocksDbEngine(directory), durable: true })

  const openState = async () => {
    const state = new TaskState('0_0', directory, 'boot', (where) => new RocksDbEngine(where))
    await state.open()
    return state
  }
  const persist = (state: TaskState, batch: number, keys: number) =>
    state.persist({
      changes: new Map([
        [
          'sums',
          Array.from({ length: keys }, (_, n) => ({
            key: Buffer.from(`key ${batch * keys + n}`),
            value: Buffer.from(`${batch} ${Math.sin(n)}`.padEnd(120, '.')),
          })),
        ],
      ]),
      positions: new Map([['sums', batch]]),
      progress: { inputs: { in: batch }, clock: '{}' },
    })
  const damage = async (pattern: RegExp, bytes: Buffer) => {
    const name = (await readdir(directory)).find((file) => pattern.test(file))!
    const path = join(directory, name)
    const file = await open(path, 'r+')
    await file.write(bytes, 0, bytes.length, Math.floor((await stat(path)).size / 2))
    await file.close()
  }

  it('opens at an earlier moment when its log is damaged, and nothing of it is missing', async () => {
    const state = await openState()
    state.begin('sums', 'topic', 0)
    for (let batch = 1; batch <= 100; batch++) await persist(state, batch, 50)
    await state.engine.close()
    await damage(/\.log$/, Buffer.alloc(4_096))
    const again = await openState()
    const position = again.changelog('sums')?.position ?? 0
    expect(position).toBeGreaterThan(0)
    expect(position).toBeLessThan(100)
    for (let n = 50; n < (position + 1) * 50; n++) {
      expect(again.engine.get(Buffer.from(`\x01sums\0key ${n}`)), `key ${n}`).toBeDefined()
    }
    await again.close()
  })

  it('says that it is damaged when a damaged table is read, is believed no more, and empty after it was opened again', async () => {
    const state = await openState()
    state.begin('sums', 'topic', 0)
    await persist(state, 1, 20_000)
    await state.close()
    // Opened and closed once more: what was in the log goes into a table.
    await (await openState()).close()
    await damage(/\.sst$/, Buffer.alloc(65_536, 7))
    const again = await openState()
    expect(again.dropped).toBeUndefined()
    const readAll = () => {
      for (let n = 20_000; n < 40_000; n++) again.engine.get(Buffer.from(`\x01sums\0key ${n}`))
    }
    expect(readAll).toThrow(expect.objectContaining({ code: 'STATE_DAMAGED' }))
    expect(again.broken).toBe(true)
    await expect(persist(again, 2, 1)).rejects.toThrow()
    await again.reopen()
    expect(again.dropped).toMatch(/orruption/)
    expect(again.found).toBe(false)
    expect(readAll).not.toThrow()
    await again.close()
  })

  it.each([/^CURRENT$/, /^MANIFEST/])('is restored when %s is damaged', async (pattern) => {
    const state = await openState()
    state.begin('sums', 'topic', 0)
    for (let batch = 1; batch <= 10; batch++) await persist(state, batch, 10)
    await state.close()
    await damage(pattern, Buffer.alloc(20, 9))
    const again = await openState()
    expect(again.dropped).toBeTypeOf('string')
    expect(again.found).toBe(false)
    await again.close()
  })
})
