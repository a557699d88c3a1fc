import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './local/paths.js'

/** Data and logs of the stack that `npm start` runs. */
export const RUN_DIR = join(ROOT, '.local', 'run')
/** Those of `npm run replay`. */
export const REPLAY_DIR = join(ROOT, '.local', 'replay')

/** Reads the checkout's .env; what the environment has already wins. */
export function loadEnv(): void {
  const file = join(ROOT, '.env')
  if (existsSync(file)) process.loadEnvFile(file)
}
