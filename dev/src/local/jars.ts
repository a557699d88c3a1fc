import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StartError } from '@candlewick/service/process'
import { withLock } from '../../setup/lock.mjs'
import { ROOT } from './paths.js'

export type ServerName = 'kafka' | 'cassandra'

export interface JarsOptions {
  /** The checkout; jars are kept in `.local/jars` under it. */
  rootDir?: string
  log?: (line: string) => void
}

/** Written last: a folder without it, or with the mark of another pom, is fetched anew. */
const MARKER = '.complete'

/**
 * The folder with the jars of a server, fetched from Maven Central by `mvn` the first time (about 5 s and 60 MB each).
 * Processes that ask at the same time wait for one of them; a fetch that is cut off leaves nothing that looks complete.
 * @throws StartError when Maven is missing or fails, with its last lines
 */
export async function ensureJars(name: ServerName, options: JarsOptions = {}): Promise<string> {
  const { rootDir = ROOT, log = () => undefined } = options
  const pomFile = join(ROOT, 'dev', 'pom', name, 'pom.xml')
  const pom = await readFile(pomFile, 'utf8')
  const mark = createHash('sha256').update(pom).digest('hex')
  const jarsDir = join(rootDir, '.local', 'jars')
  const dir = join(jarsDir, `${name}-${versionIn(pom, name)}`)
  if (await isComplete(dir, mark)) return dir
  const waiting = () => log(`waiting for another process that fetches ${name}`)
  return withLock(join(jarsDir, `${name}.lock`), waiting, async () => {
    if (await isComplete(dir, mark)) return dir
    log(`fetching ${name} ${versionIn(pom, name)} from Maven Central (once)`)
    const unfinished = `${dir}.unfinished`
    await rm(unfinished, { recursive: true, force: true })
    await mkdir(unfinished, { recursive: true })
    await copyDependencies(name, pomFile, unfinished)
    await writeFile(join(unfinished, MARKER), mark)
    await rm(dir, { recursive: true, force: true })
    await rename(unfinished, dir)
    return dir
  })
}

/** The server's version as its pom fixes it in `<NAME.version>`. */
export function versionIn(pom: string, name: ServerName): string {
  const version = new RegExp(`<${name}\\.version>([^<]+)<`).exec(pom)?.[1]
  if (version === undefined) throw new Error(`dev/pom/${name}/pom.xml has no <${name}.version>`)
  return version
}

async function isComplete(dir: string, mark: string): Promise<boolean> {
  return (await readFile(join(dir, MARKER), 'utf8').catch(() => '')) === mark
}

function copyDependencies(name: ServerName, pomFile: string, outputDirectory: string): Promise<void> {
  const goal = ['-q', '-B', '-f', pomFile, 'dependency:copy-dependencies', '-DincludeScope=runtime']
  return new Promise((resolve, reject) => {
    const mvn = spawn('mvn', [...goal, `-DoutputDirectory=${outputDirectory}`], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const keep = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4_000))
    mvn.stdout.on('data', keep)
    mvn.stderr.on('data', keep)
    mvn.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'Maven (mvn) is not on the PATH: install Maven 3.6 or newer' : error.message
      reject(new StartError(why, { cause: error }))
    })
    mvn.on('close', (code) => {
      if (code === 0) return resolve()
      const last = output.trim().split('\n').slice(-6).join('\n')
      reject(
        new StartError(
          `Maven could not fetch ${name} (is Maven Central reachable? a proxy belongs into ~/.m2/settings.xml):\n${last}`,
        ),
      )
    })
  })
}
