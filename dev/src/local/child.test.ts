import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { processStartMs } from '../../setup/lock.mjs'
import { temporaryDir } from '../testing/temporary.js'
import { startChild } from './child.js'
import { ROOT } from './paths.js'

const FOREVER = 'setInterval(() => {}, 1000)'

function node(code: string, logFile: string) {
  return startChild({ name: 'a child', command: process.execPath, args: ['-e', code], logFile })
}

test('what a child prints is in its log file, and its end is told', async () => {
  const logFile = join(temporaryDir(), 'logs', 'x.log')
  const child = await node('console.log("out"); console.error("err"); process.exitCode = 3', logFile)
  expect(await child.exited).toEqual({ code: 3, signal: null })
  expect(readFileSync(logFile, 'utf8').split('\n').sort()).toEqual(['', 'err', 'out'])
  expect(child.lastLines(2).sort()).toEqual(['err', 'out'])
})

test('a child that does not care about SIGTERM is killed after the deadline', async () => {
  const child = await node(
    `process.on('SIGTERM', () => {}); console.log('up'); ${FOREVER}`,
    join(temporaryDir(), 'x.log'),
  )
  await vi.waitUntil(() => child.lastLines(1)[0] === 'up', { timeout: 10_000 })
  expect(await child.stop({ timeoutMs: 50 })).toEqual({ code: null, signal: 'SIGKILL' })
  expect(processStartMs(child.pid)).toBeUndefined()
})

test('a command that does not exist is told as such', async () => {
  const starting = startChild({ name: 'java', command: '/no/such/java', args: [], logFile: join(temporaryDir(), 'x') })
  await expect(starting).rejects.toThrow('cannot run /no/such/java for java')
})

test('when the parent is killed -9 its children end and its folders go', { timeout: 30_000 }, async () => {
  const dir = temporaryDir()
  const doomed = join(dir, 'a folder')
  mkdirSync(doomed)
  const parentCode = `
    const { startChild } = await import(${JSON.stringify(join(ROOT, 'dev/dist/local/child.js'))})
    const { watchdog } = await import(${JSON.stringify(join(ROOT, 'dev/dist/local/watchdog.js'))})
    watchdog.remove(${JSON.stringify(doomed)})
    const start = (name) => startChild({ name, command: process.execPath, args: ['-e', ${JSON.stringify(FOREVER)}], logFile: ${JSON.stringify(dir)} + '/' + name })
    const [first, second, ended] = await Promise.all([start('1'), start('2'), start('3')])
    await ended.stop()
    console.log(JSON.stringify([first.pid, second.pid]))`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', parentCode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pids = JSON.parse(line.toString()) as number[]
  for (const pid of pids) expect(processStartMs(pid)).toBeDefined()
  parent.kill('SIGKILL')
  await vi.waitUntil(() => pids.every((pid) => processStartMs(pid) === undefined), { timeout: 20_000, interval: 100 })
  await vi.waitUntil(() => !existsSync(doomed), { timeout: 20_000 })
  expect(existsSync(dir)).toBe(true)
})
