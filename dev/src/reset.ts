import { rm } from 'node:fs/promises'
import { StartError } from '@candlewick/service/process'
import { progress, runCommand } from './command.js'
import { REPLAY_DIR, RUN_DIR } from './load-env.js'
import { findStack } from './stack/state-file.js'

/** `npm run reset`: removes all data and logs of the local stack. What was fetched once (the jars) stays. */
async function main(): Promise<void> {
  for (const dir of [RUN_DIR, REPLAY_DIR]) {
    if (findStack(dir).kind !== 'nothing')
      throw new StartError(`the stack in ${dir} is running: end it first (npm stop)`)
  }
  for (const dir of [RUN_DIR, REPLAY_DIR]) await rm(dir, { recursive: true, force: true })
  progress('data and logs are cleared')
}

void runCommand(main)
