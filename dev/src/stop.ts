import { setTimeout as delay } from 'node:timers/promises'
import { isSameProcess } from '../setup/lock.mjs'
import { progress, runCommand } from './command.js'
import { RUN_DIR } from './load-env.js'
import { endOrphans, findStack, removeState } from './stack/state-file.js'

/** The supervisor's own deadlines, one after the other, stay below this. */
const PATIENCE_MS = 120_000

const USAGE = `npm stop

Ends what npm start runs, in order, and whatever an earlier one left. Data are kept.`

async function main(): Promise<void> {
  const found = findStack(RUN_DIR)
  if (found.kind === 'running') {
    const { supervisor } = found.state
    progress(`ending the stack (process ${supervisor.pid})`)
    process.kill(supervisor.pid, 'SIGTERM')
    const deadlineMs = performance.now() + PATIENCE_MS
    while (isSameProcess(supervisor)) {
      if (performance.now() > deadlineMs) process.kill(supervisor.pid, 'SIGKILL')
      await delay(200)
    }
  }
  const left = findStack(RUN_DIR)
  if (left.kind === 'orphans') await endOrphans(left.parts, progress)
  removeState(RUN_DIR)
  progress(found.kind === 'nothing' ? 'nothing was running' : 'all ended')
}

void runCommand({ usage: USAGE, run: main })
