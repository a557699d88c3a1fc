import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isSameProcess, type ProcessMark } from '../../setup/lock.mjs'
import { stopGroups } from './plan.js'

/** A part of a running stack as other commands (status, stop) see it. */
export interface RecordedPart extends ProcessMark {
  name: string
  port?: number
  /** Times it was started again since the stack started. */
  restarts: number
}

export interface StackState {
  /** The process that looks after the stack. */
  supervisor: ProcessMark
  host: string
  kafkaBrokers: string
  applicationId: string
  topicPrefix: string
  apiPort: number
  parts: RecordedPart[]
}

function fileIn(dir: string): string {
  return join(dir, 'state.json')
}

/** Replaces the file as a whole: a reader sees the old or the new state. */
export function writeState(dir: string, state: StackState): void {
  const file = fileIn(dir)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(state, undefined, 2))
  renameSync(`${file}.new`, file)
}

export function removeState(dir: string): void {
  rmSync(fileIn(dir), { force: true })
}

function readState(dir: string): StackState | undefined {
  try {
    return JSON.parse(readFileSync(fileIn(dir), 'utf8')) as StackState
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

export type Found =
  | { kind: 'nothing' }
  /** The stack is looked after; `parts` are those that live right now. */
  | { kind: 'running'; state: StackState; parts: RecordedPart[] }
  /** Whoever looked after it is dead, these live on (for the moments the watchdog needs, or because it died as well). */
  | { kind: 'orphans'; state: StackState; parts: RecordedPart[] }

/** What the state file says, held against the processes that really live: by pid and start time. */
export function findStack(dir: string): Found {
  const state = readState(dir)
  if (state === undefined) return { kind: 'nothing' }
  const parts = state.parts.filter(isSameProcess)
  if (isSameProcess(state.supervisor)) return { kind: 'running', state, parts }
  return parts.length > 0 ? { kind: 'orphans', state, parts } : { kind: 'nothing' }
}

/** Ends what a dead supervisor left, in order: SIGTERM, and SIGKILL for what is still there after `timeoutMs`. */
export async function endOrphans(parts: readonly RecordedPart[], log: (line: string) => void, timeoutMs = 15_000) {
  for (const group of stopGroups(parts)) {
    for (const part of group) signal(part, 'SIGTERM')
    const deadlineMs = performance.now() + timeoutMs
    while (group.some(isSameProcess)) {
      if (performance.now() > deadlineMs) for (const part of group) signal(part, 'SIGKILL')
      await delay(100)
    }
    for (const { name, pid } of group) log(`ended ${name} (process ${pid}), left over from an earlier start`)
  }
}

function signal(part: RecordedPart, name: NodeJS.Signals): void {
  if (!isSameProcess(part)) return
  try {
    process.kill(part.pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
