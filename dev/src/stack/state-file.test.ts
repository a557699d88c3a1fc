import { spawn } from 'node:child_process'
import { expect, onTestFinished, test } from 'vitest'
import { processStartMs, thisProcess } from '../../setup/lock.mjs'
import { temporaryDir } from '../testing/temporary.js'
import { endOrphans, findStack, removeState, writeState, type RecordedPart, type StackState } from './state-file.js'

function sleeper(name: string): RecordedPart {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  onTestFinished(() => void child.kill('SIGKILL'))
  return { name, pid: child.pid!, startMs: processStartMs(child.pid!)!, restarts: 0 }
}

function state(parts: RecordedPart[], supervisor = thisProcess()): StackState {
  return {
    supervisor,
    host: '127.0.0.1',
    kafkaBrokers: '127.0.0.1:9092',
    applicationId: 'candlewick',
    topicPrefix: '',
    apiPort: 8080,
    parts,
  }
}

const DEAD = { pid: process.pid, startMs: 1_000 } // the number lives, the process of that time does not

test('without a state file nothing runs', () => {
  const dir = temporaryDir()
  expect(findStack(dir)).toEqual({ kind: 'nothing' })
  writeState(dir, state([]))
  removeState(dir)
  expect(findStack(dir)).toEqual({ kind: 'nothing' })
})

test('a stack runs while its supervisor lives, and only living parts are told', () => {
  const dir = temporaryDir()
  const alive = sleeper('kafka')
  writeState(dir, state([alive, { ...alive, name: 'producer', startMs: alive.startMs - 60_000 }]))
  expect(findStack(dir)).toMatchObject({ kind: 'running', parts: [{ name: 'kafka', pid: alive.pid }] })
})

test('what a dead supervisor left is found and ended in order; nobody else is touched', async () => {
  const dir = temporaryDir()
  const parts = [sleeper('kafka'), sleeper('producer')]
  const stranger = { ...sleeper('cassandra'), startMs: 1_000 } // its number was given to somebody else
  writeState(dir, state([...parts, stranger], DEAD))
  const found = findStack(dir)
  expect(found).toMatchObject({ kind: 'orphans', parts: [{ name: 'kafka' }, { name: 'producer' }] })
  const lines: string[] = []
  if (found.kind === 'orphans') await endOrphans([...found.parts, stranger], (line) => lines.push(line))
  expect(lines.map((line) => line.split(' ')[1])).toEqual(['producer', 'cassandra', 'kafka'])
  for (const { pid } of parts) expect(processStartMs(pid)).toBeUndefined()
  expect(processStartMs(stranger.pid)).toBeDefined()
  expect(findStack(dir)).toEqual({ kind: 'nothing' })
})
