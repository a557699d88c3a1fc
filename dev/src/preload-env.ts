/** Reads .env before a process that is started on its own: `node --import ./dev/dist/preload-env.js <main file>`. */
import { loadEnv } from './load-env.js'

loadEnv()
