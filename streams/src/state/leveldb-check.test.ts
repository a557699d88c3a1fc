import { cp, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { damageOfLevelDb } from './leveldb-check.js'
import { LevelDbEngine } from './leveldb-engine.js'

const WHOLE = { from: Buffer.from([0]), to: Buffer.from([255]) }
const BATCHES = 900
const KEYS_OF_BATCH = 40
/** Fewer than are written, so that the last batches write some again. */
const KEYS = 30_000
const keysOf = (batch: number) =>
  Array.from({ length: KEYS_OF_BATCH }, (_, n) => `key ${((batch * KEYS_OF_BATCH + n) * 7_919) % KEYS}`)

let root = ''
/** A database of tables and of a log of several blocks, as a killed process leaves it. */
let original = ''

/** The contents after a batch: by key the batch that wrote it last. */
function contentsAfter(newest: number): Map<string, number> {
  const contents = new Map<string, number>()
  for (let batch = 1; batch <= newest; batch++) for (const key of keysOf(batch)) contents.set(key, batch)
  return contents
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'candlewick-leveldb-check-'))
  const live = join(root, 'live')
  original = join(root, 'original')
  const engine = new LevelDbEngine(live)
  await engine.open()
  for (let batch = 1; batch <= BATCHES; batch++) {
    const filling = 'x'.repeat(150)
    const value = Buffer.from(`${batch} ${filling}${Math.sin(batch)}`)
    await engine.write(
      keysOf(batch).map((key) => ({ key: Buffer.from(key), value })),
      { sync: false },
    )
  }
  // Without a close: what lies there when the process is killed now. What LevelDB does beside has to be through.
  await vi.waitFor(async () => {
    const names = await readdir(live)
    expect(names.filter((name) => name.endsWith('.log'))).toHaveLength(1)
    expect(names.filter((name) => name.endsWith('.ldb'))).not.toHaveLength(0)
  })
  await cp(live, original, { recursive: true })
  await engine.close()
}, 60_000)
afterAll(() => rm(root, { recursive: true, force: true }))

/** What an engine reads; undefined when it cannot be opened or read. */
async function contents(directory: string): Promise<Map<string, number> | undefined> {
  const engine = new LevelDbEngine(directory)
  const found = new Map<string, number>()
  try {
    await engine.open()
    for await (const [key, value] of engine.entries(WHOLE))
      found.set(key.toString(), Number.parseInt(value.toString(), 10))
  } catch {
    return undefined
  } finally {
    await engine.close().catch(() => undefined)
  }
  return found
}

/** The newest batch that is there; the contents must then be just those after it: nothing is missing, nothing wrong. */
function expectSomeMoment(found: Map<string, number>): void {
  const newest = Math.max(0, ...found.values())
  expect(found).toEqual(contentsAfter(newest))
}

async function damaged(name: string, damage: (path: string) => Promise<void>) {
  const directory = await mkdtemp(join(root, 'damaged-'))
  await cp(original, directory, { recursive: true })
  await damage(join(directory, name))
  return directory
}

async function overwrite(path: string, at: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

const filesLike = async (pattern: RegExp) => (await readdir(original)).filter((name) => pattern.test(name))

describe('the check of a LevelDB', () => {
  it('finds nothing where there is nothing, and nothing in what a killed or a closed process leaves', async () => {
    expect(await damageOfLevelDb(join(root, 'nowhere'))).toBeUndefined()
    expect((await filesLike(/\.ldb$/)).length, 'tables').toBeGreaterThan(0)
    const [log] = await filesLike(/\.log$/)
    expect((await stat(join(original, log!))).size, 'blocks of the log').toBeGreaterThan(3 * 32_768)
    expect(await damageOfLevelDb(original)).toBeUndefined()
    expect(await damageOfLevelDb(join(root, 'live'))).toBeUndefined()
    expect(await contents(join(root, 'live'))).toEqual(contentsAfter(BATCHES))
  })

  it('takes a log that ends anywhere for what it is: an earlier moment', async () => {
    const [log] = await filesLike(/\.log$/)
    const { size } = await stat(join(original, log!))
    for (const end of [0, 1, 6, 7, 100, 32_767, 32_768, 32_769, 40_000, 65_536, size - 1]) {
      const directory = await damaged(log!, (path) => truncate(path, end))
      expect(await damageOfLevelDb(directory), `cut at ${end}`).toBeUndefined()
      const found = await contents(directory)
      expectSomeMoment(found!)
      await rm(directory, { recursive: true })
    }
  })

  it('finds a zeroed page in the middle of a log, over which LevelDB opens without a word and with keys missing', async () => {
    const [log] = await filesLike(/\.log$/)
    const directory = await damaged(log!, (path) => overwrite(path, 36_864, Buffer.alloc(4_096)))
    expect(await damageOfLevelDb(directory)).toMatch(/\.log cannot be read at \d+/)
    const found = await contents(directory)
    expect(() => expectSomeMoment(found!)).toThrow()
  })

  it('finds that a log has lost all it held while the next one has not, as a power cut leaves it', async () => {
    const [log] = await filesLike(/\.log$/)
    const next = `${String(Number.parseInt(log!, 10) + 10).padStart(6, '0')}.log`
    const directory = await damaged(log!, async (path) => {
      await cp(path, join(path, '..', next))
      await truncate(path, 0)
    })
    expect(await damageOfLevelDb(directory)).toBe(`${log} is empty, and ${next} goes on after it`)
  })

  it('takes an empty log that was begun last for what it is: nothing was written since', async () => {
    const [log] = await filesLike(/\.log$/)
    const next = `${String(Number.parseInt(log!, 10) + 10).padStart(6, '0')}.log`
    const directory = await damaged(log!, (path) => writeFile(join(path, '..', next), ''))
    expect(await damageOfLevelDb(directory)).toBeUndefined()
    expect(await contents(directory)).toEqual(contentsAfter(BATCHES))
  })

  it('finds a zeroed page in a table', async () => {
    const [table] = await filesLike(/\.ldb$/)
    const directory = await damaged(table!, (path) => overwrite(path, 8_192, Buffer.alloc(4_096)))
    expect(await damageOfLevelDb(directory)).toMatch(/\.ldb: its block at \d+/)
  })

  it.each([
    ['a log', /\.log$/],
    ['a table', /\.ldb$/],
    ['the MANIFEST', /^MANIFEST/],
    ['CURRENT', /^CURRENT$/],
  ])('finds that %s is missing', async (_what, pattern) => {
    const [name] = await filesLike(pattern)
    const directory = await damaged(name!, (path) => rm(path))
    expect(await damageOfLevelDb(directory)).toMatch(/is missing$/)
  })

  it('lets nothing pass that would be read as less than it was, whatever is damaged', async () => {
    const names = (await readdir(original)).filter((name) => /^(CURRENT|MANIFEST-\d+|\d+\.(log|ldb))$/.test(name))
    const sizes = new Map(
      await Promise.all(names.map(async (name) => [name, (await readFile(join(original, name))).length] as const)),
    )
    let passed = 0
    let found = 0
    const damage = fc.record({
      name: fc.constantFrom(...names),
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      length: fc.constantFrom(1, 2, 7, 64, 512, 4_096, 40_000),
      kind: fc.constantFrom('zeros', 'noise', 'cut', 'shift'),
    })
    await fc.assert(
      fc.asyncProperty(damage, async ({ name, at, length, kind }) => {
        const size = sizes.get(name)!
        const position = Math.floor(size * at)
        const directory = await damaged(name, async (path) => {
          const bytes = await readFile(path)
          const noise = Buffer.from(Array.from({ length }, (_, n) => (n * 131 + position) & 0xff))
          if (kind === 'cut') await truncate(path, position)
          else if (kind === 'shift')
            await writeFile(path, Buffer.concat([bytes.subarray(0, position), bytes.subarray(position + length)]))
          else
            await overwrite(
              path,
              position,
              (kind === 'zeros' ? Buffer.alloc(length) : noise).subarray(0, size - position),
            )
        })
        const told = await damageOfLevelDb(directory)
        if (told === undefined) {
          passed++
          const read = await contents(directory)
          if (read !== undefined) expectSomeMoment(read)
        } else found++
        await rm(directory, { recursive: true })
      }),
      { numRuns: 100 },
    )
    expect(passed, 'harmless').toBeGreaterThan(0)
    expect(found, 'found').toBeGreaterThan(30)
  }, 120_000)
})

it('a database whose process was killed while it made it is none yet, and is made anew', async () => {
  const directory = join(root, 'begun')
  const made = new LevelDbEngine(directory)
  await made.open()
  await made.close()
  const begun = join(root, 'half-made')
  await cp(directory, begun, {
    recursive: true,
    filter: (source) => source === directory || /MANIFEST-\d+$/.test(source),
  })
  expect(await damageOfLevelDb(begun)).toBeUndefined()
  const engine = new LevelDbEngine(begun)
  await engine.open()
  await engine.close()
})
