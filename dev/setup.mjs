/**
 * Makes a checkout ready to run: runs before anything is installed, so it is plain JavaScript on Node alone.
 * Checks what the machine must have, installs the npm packages, compiles, builds the page; each only when needed.
 *
 *   node dev/setup.mjs [--quiet] [--unless FILE]
 *
 * --quiet        says nothing but what takes long or fails
 * --unless FILE  does nothing at all when FILE is there (to stop a stack, nothing needs to be up to date)
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPage, compile, install, isInstalled, isPageBuilt } from './setup/build.mjs'
import { withLock } from './setup/lock.mjs'
import { missingPrerequisites } from './setup/prerequisites.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const quiet = process.argv.includes('--quiet')
/** Without a time: the command that follows counts its own seconds. */
function say(line) {
  console.log(line)
}

async function setup() {
  if (!isInstalled(ROOT)) {
    say('installing the npm packages (once, a minute or two)')
    await install(ROOT)
  }
  if (!quiet) say('compiling what changed')
  await compile(ROOT)
  if (!isPageBuilt(ROOT)) {
    say('building the page')
    await buildPage(ROOT)
  }
  if (!quiet) say('built')
}

const unless = process.argv.indexOf('--unless')
if (unless === -1 || !existsSync(join(ROOT, process.argv[unless + 1] ?? ''))) {
  const missing = missingPrerequisites(ROOT)
  for (const problem of missing) console.error(problem)
  if (missing.length > 0) process.exit(1)
  try {
    const wait = ({ pid }) => say(`waiting for another setup (process ${pid})`)
    await withLock(join(ROOT, '.local', 'setup.lock'), wait, setup)
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}
