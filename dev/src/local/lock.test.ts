import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isSameProcess, processStartMs, thisProcess, withLock } from '../../setup/lock.mjs'
import { temporaryDir } from '../testing/temporary.js'

test('work under one lock never overlaps, and who waits is told for whom', async () => {
  const path = join(temporaryDir(), 'lock')
  let inside = 0
  let most = 0
  const waitedFor: number[] = []
  const work = () =>
    withLock(
      path,
      ({ pid }) => waitedFor.push(pid),
      async () => {
        most = Math.max(most, ++inside)
        await new Promise((resolve) => setImmediate(resolve))
        inside--
      },
    )
  await Promise.all([work(), work(), work()])
  expect(most).toBe(1)
  expect(new Set(waitedFor)).toEqual(new Set([process.pid]))
  expect(existsSync(path)).toBe(false)
})

test('the lock is given back when the work fails', async () => {
  const path = join(temporaryDir(), 'lock')
  const failing = withLock(
    path,
    () => undefined,
    () => Promise.reject(new Error('no')),
  )
  await expect(failing).rejects.toThrow('no')
  expect(existsSync(path)).toBe(false)
})

test('the lock of a dead process does not count, nor that of another one that has its number now', async () => {
  const path = join(temporaryDir(), 'lock')
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  for (const owner of [
    { pid: child.pid, startMs: Date.now() },
    { pid: process.pid, startMs: thisProcess().startMs - 60_000 },
  ]) {
    writeFileSync(path, JSON.stringify(owner))
    const seen = await withLock(
      path,
      () => undefined,
      async () => readFileSync(path, 'utf8'),
    )
    expect(JSON.parse(seen)).toEqual(thisProcess())
  }
})

test('the start of a process is known to the second, and undefined for a number nobody has', () => {
  const startedMs = Date.now() - process.uptime() * 1_000
  expect(Math.abs(processStartMs(process.pid)! - startedMs)).toBeLessThan(2_000)
  expect(isSameProcess(thisProcess())).toBe(true)
  expect(processStartMs(2 ** 22 + 1)).toBeUndefined()
})
