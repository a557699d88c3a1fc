import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout: this file lies three folders below it, as a source and as built. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** The Java to run servers with: that of JAVA_HOME when it is set, else the first on the PATH. */
export function javaCommand(env: NodeJS.ProcessEnv = process.env): string {
  return env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java'
}
