import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StateDirectory } from './state-directory.js'

let root = ''
let opened: StateDirectory[] = []
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'candlewick-state-'))
  opened = []
})
afterEach(async () => {
  await Promise.all(opened.map((one) => one.close()))
  await rm(root, { recursive: true, force: true })
})

async function openDirectory(instanceId?: string): Promise<StateDirectory> {
  const directory = new StateDirectory(root, 'app')
  await directory.open(instanceId)
  opened.push(directory)
  return directory
}

describe('a state directory', () => {
  it('belongs to one process: a second one is told so and what to do, and the first one goes on', async () => {
    const level = JSON.stringify(createRequire(import.meta.url).resolve('classic-level'))
    const program = `const { ClassicLevel } = require(${level})
      require('node:fs').mkdirSync(${JSON.stringify(join(root, 'app'))}, { recursive: true })
      new ClassicLevel(${JSON.stringify(join(root, 'app', 'instance'))}).open().then(() => process.stdout.write('open'))
      process.stdin.resume().on('end', () => process.exit())`
    const first = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await once(first.stdout, 'data')
      await expect(openDirectory()).rejects.toMatchObject({
        code: 'LOCKED',
        message: expect.stringMatching(/give each process a stateDir of its own, or stop that one/) as string,
      })
    } finally {
      first.stdin.end()
      await once(first, 'exit')
    }
    await expect(openDirectory(), 'its lock dies with it').resolves.toBeDefined()
  })

  it('keeps who the process is, and makes it anew when that is damaged; the state stays', async () => {
    const first = await openDirectory()
    const { instanceId } = first
    await mkdir(first.taskDirectory('0_1'))
    await first.close()
    const second = await openDirectory()
    expect(second.instanceId).toBe(instanceId)
    await second.close()
    await writeFile(join(root, 'app', 'instance', 'CURRENT'), 'nonsense')
    const third = await openDirectory()
    expect(third.instanceId).not.toBe('')
    expect(await third.storedTasks()).toEqual(['0_1'])
  })

  it('is refused with what to do where it cannot be', async () => {
    await writeFile(join(root, 'app'), '')
    await expect(openDirectory()).rejects.toMatchObject({
      code: 'STATE',
      message: expect.stringContaining('set another stateDir') as string,
    })
  })

  it('loses the state of tasks that nobody asked for a long time, and of no others', async () => {
    const directory = await openDirectory()
    const hour = 3_600_000
    const now = Date.now()
    for (const [id, ageMs] of [
      ['0_0', 30 * hour],
      ['0_1', 30 * hour],
      ['0_2', hour],
      ['1_0', 23 * hour],
    ] as const) {
      await mkdir(directory.taskDirectory(id))
      const at = (now - ageMs) / 1000
      await utimes(directory.taskDirectory(id), at, at)
    }
    expect(await directory.removeObsolete(new Set(['0_0']), 24 * hour, now)).toEqual(['0_1'])
    expect((await readdir(join(root, 'app', 'tasks'))).sort()).toEqual(['0_0', '0_2', '1_0'])
    // Kept until now, so its time begins now.
    expect(await directory.removeObsolete(new Set(), 24 * hour, now + 2 * hour)).toEqual(['1_0'])
    expect((await directory.removeObsolete(new Set(), 24 * hour, now + 25 * hour)).sort()).toEqual(['0_0', '0_2'])
  })
})
