import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LevelDbEngine } from './leveldb-engine.js'
import { MemoryEngine } from './memory-engine.js'
import { META_KEY, storePrefix } from './store-keys.js'
import { TaskState } from './task-state.js'

let root = ''
let directory = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'candlewick-task-engine-'))
  directory = join(root, '0_0')
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function openState(make = (where: string) => new LevelDbEngine(where) as never, where = directory) {
  const state = new TaskState('0_0', where, 'boot', make)
  await state.open()
  return state
}

/** Batch n writes `each` keys; the position says how many batches there are. */
async function persist(state: TaskState, batch: number, each = 5): Promise<void> {
  const changes = Array.from({ length: each }, (_, n) => ({
    key: Buffer.from(`key ${batch * each + n}`),
    value: Buffer.from(`${batch}`.padEnd(100, '.')),
  }))
  await state.persist({
    changes: new Map([['sums', changes]]),
    positions: new Map([['sums', batch]]),
    progress: { inputs: { in: batch }, clock: '{}' },
  })
}

async function filled(batches = 3, where = directory): Promise<TaskState> {
  const state = await openState(undefined, where)
  state.begin('sums', 'topic-id', 0)
  for (let batch = 1; batch <= batches; batch++) await persist(state, batch)
  return state
}

const read = (state: TaskState, n: number) =>
  state.engine.get(Buffer.concat([storePrefix('sums'), Buffer.from(`key ${n}`)]))

/** Everything up to the position it knows is there, and nothing else. */
function expectWhole(state: TaskState, each = 5): void {
  const position = state.changelog('sums')?.position ?? 0
  for (let n = each; n < (position + 1) * each; n++) {
    expect(Number.parseInt(read(state, n)!.toString(), 10), `key ${n} of ${position}`).toBe(Math.floor(n / each))
  }
  expect(read(state, (position + 1) * each)).toBeUndefined()
}

describe('the state of a task after its files were damaged', () => {
  it('is what was there at some moment, and knows which, or is dropped with a reason: nothing is silently missing', async () => {
    const original = join(root, 'original')
    await (await filled(700, original)).close()
    // Opened once more: tables, and a log with something in it.
    const again = await openState(undefined, original)
    for (let batch = 701; batch <= 1_000; batch++) await persist(again, batch)
    await again.engine.close()
    const names = (await readdir(original)).filter((name) =>
      /^(CURRENT|ENGINE|MANIFEST-\d+|\d+\.(log|ldb))$/.test(name),
    )
    expect(names.length).toBeGreaterThanOrEqual(5)
    const told = { dropped: 0, kept: 0 }
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        fc.uint8Array({ minLength: 1, maxLength: 5_000 }),
        fc.constantFrom('overwrite', 'zeros', 'cut', 'remove'),
        async (name, at, bytes, kind) => {
          await rm(directory, { recursive: true, force: true })
          await cp(original, directory, { recursive: true })
          const path = join(directory, name)
          const position = Math.floor((await stat(path)).size * at)
          if (kind === 'remove') await rm(path)
          else if (kind === 'cut') await truncate(path, position)
          else {
            const file = await open(path, 'r+')
            await file.write(kind === 'zeros' ? Buffer.alloc(bytes.length) : bytes, 0, bytes.length, position)
            await file.close()
          }
          const state = await openState()
          if (state.dropped === undefined) told.kept++
          else told.dropped++
          if (state.dropped !== undefined) expect(state.found).toBe(false)
          expectWhole(state)
          // Whatever it was, it can be used.
          if (!state.found) state.begin('sums', 'topic-id', 0)
          await persist(state, (state.changelog('sums')?.position ?? 0) + 1)
          await state.close()
        },
      ),
      { numRuns: 60 },
    )
    expect(told.dropped).toBeGreaterThan(0)
    expect(told.kept).toBeGreaterThan(0)
  }, 120_000)

  it('is dropped when it does not say how far it is', async () => {
    const state = await filled()
    await state.engine.write([{ key: META_KEY, value: undefined }], { sync: false })
    await state.engine.close()
    const again = await openState()
    expect(again.dropped).toBe('it does not say how far it is')
    expect(read(again, 5)).toBeUndefined()
    await again.close()
  })
})

describe('damage that is met while the state is used', () => {
  class DamagedEngine extends MemoryEngine {
    damaged = false
    override get(key: Buffer) {
      if (this.damaged)
        throw Object.assign(new Error('Corruption: block checksum mismatch'), { code: 'LEVEL_CORRUPTION' })
      return super.get(key)
    }
  }

  it('is told as such, and nothing is written or believed before the state was dropped', async () => {
    const engines: DamagedEngine[] = []
    const state = await openState((() => engines[engines.push(new DamagedEngine()) - 1]) as never)
    state.begin('sums', 'topic-id', 0)
    await persist(state, 1)
    engines[0]!.damaged = true
    expect(() => read(state, 5)).toThrow(expect.objectContaining({ code: 'STATE_DAMAGED' }))
    expect(state.broken).toBe(true)
    await expect(persist(state, 2)).rejects.toMatchObject({ code: 'STATE_DAMAGED' })
    await state.reopen()
    expect(state.dropped).toContain('checksum mismatch')
    expect(state.broken).toBe(false)
    expect(read(state, 5)).toBeUndefined()
    await state.close()
  })
})

describe('state of another format', () => {
  async function withFormat(format: unknown): Promise<void> {
    const state = await filled()
    const meta = JSON.stringify({ ...state.meta, format })
    await state.engine.write([{ key: META_KEY, value: Buffer.from(meta) }], { sync: false })
    await state.engine.close()
  }

  it.each([0, undefined])('that is older (%s) is dropped, to be restored', async (format) => {
    await withFormat(format)
    const state = await openState()
    expect(state.dropped).toContain('format')
    expect(state.found).toBe(false)
    expect(read(state, 5)).toBeUndefined()
    await state.close()
  })

  it('that is newer is refused with what to do, and left as it is', async () => {
    await withFormat(99)
    for (let twice = 0; twice < 2; twice++) {
      await expect(openState()).rejects.toMatchObject({
        code: 'STATE',
        message: expect.stringMatching(/format 99.*run the version that wrote it, or delete that directory/) as string,
      })
    }
    const engine = new LevelDbEngine(directory)
    await engine.open()
    expect(engine.get(Buffer.concat([storePrefix('sums'), Buffer.from('key 5')]))).toBeDefined()
    await engine.close()
  })
})

class OtherEngine extends LevelDbEngine {
  override readonly storage = 'other' as never
}
const other = (where: string) => new OtherEngine(where) as never

describe('a directory of another engine', () => {
  it('is emptied and says why: files of two engines never lie together', async () => {
    await (await filled()).close()
    const state = await openState(other)
    expect(state.dropped).toBe("it is of the engine 'leveldb', and this is 'other'")
    expect(read(state, 5)).toBeUndefined()
    await state.close()
    expect((await openBack()).dropped).toBe("it is of the engine 'other', and this is 'leveldb'")
  })

  async function openBack(): Promise<TaskState> {
    const state = await openState()
    await state.close()
    return state
  }

  it('is kept when it is of before the engine was noted, which was LevelDB', async () => {
    await (await filled()).close()
    await rm(join(directory, 'ENGINE'))
    const state = await openState()
    expect(state.dropped).toBeUndefined()
    expectWhole(state)
    await state.close()
    expect(await readFile(join(directory, 'ENGINE'), 'utf8')).toBe('leveldb\n')
  })
})

describe('the file that says whose state it is', () => {
  const file = () => join(directory, 'ENGINE')

  it('is written once and then left alone: no start puts the state at risk', async () => {
    await (await filled()).close()
    const written = await stat(file(), { bigint: true })
    const state = await openState()
    await state.close()
    const { ino, mtimeNs } = await stat(file(), { bigint: true })
    expect({ ino, mtimeNs }).toEqual({ ino: written.ino, mtimeNs: written.mtimeNs })
  })

  it.each([
    ['leveldb', undefined],
    ['other', other],
  ])('drops nothing of %s where it is empty: it is written again', async (storage, make) => {
    const before = await openState(make)
    before.begin('sums', 'topic-id', 0)
    await persist(before, 1)
    await before.close()
    await writeFile(file(), '')
    const state = await openState(make)
    expect(state.dropped).toBeUndefined()
    expectWhole(state)
    await state.close()
    expect(await readFile(file(), 'utf8')).toBe(`${storage}\n`)
  })

  it('is never there half: where its writing was cut short there is nothing to drop yet', async () => {
    await mkdir(directory)
    await writeFile(join(directory, 'ENGINE.tmp'), 'oth')
    const state = await openState(other)
    expect(state.dropped).toBeUndefined()
    await state.close()
    expect((await readdir(directory)).filter((name) => name.startsWith('ENGINE'))).toEqual(['ENGINE'])
    expect(await readFile(file(), 'utf8')).toBe('other\n')
  })
})

describe('a directory that cannot be used', () => {
  it('is named, with what to do, when another process has it open', async () => {
    await (await filled()).close()
    const program = `const { ClassicLevel } = require(${JSON.stringify(createRequire(import.meta.url).resolve('classic-level'))})
      const level = new ClassicLevel(${JSON.stringify(directory)})
      level.open().then(() => process.stdout.write('open'))
      process.stdin.resume().on('end', () => process.exit())`
    const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      await expect(openState()).rejects.toMatchObject({
        code: 'STATE',
        message: expect.stringMatching(
          /state of task 0_0 in .*0_0 cannot be used .*: another process has it open/,
        ) as string,
      })
    } finally {
      child.stdin.end()
      await once(child, 'exit')
    }
    const state = await openState()
    expectWhole(state)
    await state.close()
  })

  it('is named, with what to do, when a file stands in its place', async () => {
    await writeFile(directory, '')
    await expect(openState()).rejects.toMatchObject({ code: 'STATE' })
    await expect(openState(undefined, join(directory, 'below'))).rejects.toThrow('set another stateDir')
  })
})
