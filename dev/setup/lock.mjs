import { spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * When a process was started, in epoch ms with a precision of a second; undefined when there is none with this pid.
 * A pid alone says little after a crash: the number may belong to somebody else by now. `ps` knows it on Linux and macOS.
 */
export function processStartMs(pid) {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC0' }
  const { stdout, status } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8', env })
  const [, state, started] = /^(\S+)\s+(.+?)\s*$/.exec(stdout ?? '') ?? []
  if (status !== 0 || started === undefined || state.startsWith('Z')) return undefined
  const startMs = Date.parse(`${started} UTC`)
  return Number.isNaN(startMs) ? undefined : startMs
}

/** Whether the process that was recorded (by pid and start) still lives. `ps` derives the start from the uptime, so it may be off by a second. */
export function isSameProcess({ pid, startMs }) {
  const seenMs = processStartMs(pid)
  return seenMs !== undefined && Math.abs(seenMs - startMs) <= 2_000
}

/** This process as others can check it. */
export function thisProcess() {
  return { pid: process.pid, startMs: processStartMs(process.pid) ?? 0 }
}

/** Takes the lock file or says who has it; a lock whose owner is dead is cleared away. */
function tryLock(path, owner) {
  const mine = `${path}.${process.pid}.new`
  writeFileSync(mine, owner)
  try {
    linkSync(mine, path) // the lock appears with its content or not at all
    return undefined
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  } finally {
    rmSync(mine, { force: true })
  }
  try {
    const held = readFileSync(path, 'utf8')
    const other = JSON.parse(held)
    if (isSameProcess(other)) return other
    clearAway(path, held)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error // gone in between: it was just given back
  }
  return { pid: 0 }
}

/** Moves the dead owner's lock aside; whoever took the lock in between gets it back. */
function clearAway(path, held) {
  const aside = `${path}.${process.pid}.old`
  try {
    renameSync(path, aside)
    if (readFileSync(aside, 'utf8') !== held) linkSync(aside, path)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  }
  rmSync(aside, { force: true })
}

/**
 * Runs `work` while holding a lock file, so that two of our processes do not do the same thing at once. A lock left
 * behind by a process that died (checked by pid and start time) does not count.
 * @param {string} path the lock file; its folder is created
 * @param {(owner: { pid: number }) => void} onWait told once, when somebody else has it
 * @param {() => Promise<T>} work
 */
export async function withLock(path, onWait, work) {
  mkdirSync(dirname(path), { recursive: true })
  const owner = JSON.stringify(thisProcess())
  let told = false
  for (;;) {
    const other = tryLock(path, owner)
    if (other === undefined) break
    if (!told && other.pid !== 0) {
      told = true
      onWait(other)
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}
