import { rm } from 'node:fs/promises'
import { StartError } from '@candlewick/service/process'
import { progress, runCommand } from './command.js'
import { REPLAY_DIR, RUN_DIR } from './load-env.js'
import { findStack } from './stack/state-file.js'

const USAGE = `npm run reset

Deletes all data and logs of npm start (.local/run) and of npm run replay (.local/replay). Refused while they run. What
was fetched once, the jars of Kafka and Cassandra, stays.`

async function main(): Promise<void> {
  for (const dir of [RUN_DIR, REPLAY_DIR]) {
    if (findStack(dir).kind !== 'nothing')
      throw new StartError(`the stack in ${dir} is running: end it first (npm stop)`)
  }
  for (const dir of [RUN_DIR, REPLAY_DIR]) await rm(dir, { recursive: true, force: true })
  progress('data and logs of npm start and of npm run replay are cleared')
}

void runCommand({ usage: USAGE, run: main })
