import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { processStartMs, thisProcess } from '../../setup/lock.mjs'
import { temporaryDir } from '../testing/temporary.js'
import { startStack } from './start-stack.js'
import { findStack, writeState } from './state-file.js'

test('a second stack in the same folder is refused, and the first one is left alone', async () => {
  const dir = temporaryDir()
  const state = {
    supervisor: thisProcess(),
    host: '',
    kafkaBrokers: '',
    applicationId: '',
    topicPrefix: '',
    apiPort: 1,
  }
  writeState(dir, { ...state, parts: [] })
  await expect(startStack({ dir, ports: 'free' })).rejects.toThrow(
    `it is running already (process ${process.pid}): npm run status shows it, npm stop ends it`,
  )
  expect(findStack(dir).kind).toBe('running')
})

test('when a part cannot be started, all others are ended and one line says why', async () => {
  const dir = temporaryDir()
  const lines: string[] = []
  const env = { PATH: process.env['PATH'], JAVA_HOME: '/nowhere' }
  const starting = startStack({ dir, ports: 'free', env, log: (line) => lines.push(line) })
  await expect(starting).rejects.toThrow(/^cannot run \/nowhere\/bin\/java for (kafka format|cassandra): /)
  expect(lines).toContain('exchange ended')
  expect(findStack(dir).kind).toBe('nothing')
  expect(existsSync(join(dir, 'state.json'))).toBe(false)
})

test('a start that is given up ends what it has begun', async () => {
  const dir = temporaryDir()
  const giveUp = new AbortController()
  const starting = startStack({ dir, ports: 'free', signal: giveUp.signal })
  const rejected = expect(starting).rejects.toThrow('was stopped')
  let pids: number[] = []
  await vi.waitUntil(
    () => {
      const found = findStack(dir)
      pids = found.kind === 'running' ? found.parts.map(({ pid }) => pid) : []
      return pids.length >= 2
    },
    { timeout: 30_000, interval: 50 },
  )
  giveUp.abort()
  await rejected
  for (const pid of pids) expect(processStartMs(pid)).toBeUndefined()
  expect(findStack(dir).kind).toBe('nothing')
})
