import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Whether node_modules holds what package-lock.json asks for. npm keeps a record of what it installed in
 * node_modules/.package-lock.json; packages for other platforms are optional and may be absent.
 */
export function isInstalled(rootDir) {
  const wanted = packagesOf(join(rootDir, 'package-lock.json'))
  const present = packagesOf(join(rootDir, 'node_modules', '.package-lock.json'))
  if (present === undefined) return false
  return Object.entries(wanted ?? {}).every(([path, { version, optional, link }]) => {
    if (!path.includes('node_modules/') || optional) return true
    return path in present && (link || present[path].version === version)
  })
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

/** Installs exactly what package-lock.json says. */
export async function install(rootDir) {
  // npm that started us says where it is; else the one on the PATH
  const cli = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm']
  const { code, output } = await run(rootDir, [...cli, 'ci', '--no-audit', '--no-fund', '--loglevel=error'])
  // npm says what is wrong first, then how it is used
  if (code !== 0) throw new Error(`npm ci failed (is the npm registry reachable?):\n${firstLines(output)}`)
}

/** Compiles what changed; about half a second when nothing did. */
export async function compile(rootDir) {
  const { code, output } = await run(rootDir, [process.execPath, 'node_modules/typescript/bin/tsc', '-b'])
  if (code !== 0) throw new Error(`the sources do not compile:\n${lastLines(output, 40)}`)
}

/** Whether the page was built from its sources as they are now. */
export function isPageBuilt(rootDir) {
  const web = join(rootDir, 'query-api', 'web')
  if (!existsSync(join(web, 'vite.config.ts'))) return true
  const built = join(web, 'dist', 'index.html')
  if (!existsSync(built)) return false
  const newest = Math.max(newestMs(web), statSync(join(rootDir, 'package-lock.json')).mtimeMs)
  return statSync(built).mtimeMs >= newest
}

function newestMs(dir) {
  const times = readdirSync(dir, { withFileTypes: true })
    .filter(({ name }) => name !== 'dist' && name !== 'node_modules')
    .map((entry) => {
      const path = join(dir, entry.name)
      return entry.isDirectory() ? newestMs(path) : statSync(path).mtimeMs
    })
  return Math.max(statSync(dir).mtimeMs, ...times)
}

export async function buildPage(rootDir) {
  const vite = [process.execPath, 'node_modules/vite/bin/vite.js', 'build', 'query-api/web', '--logLevel', 'warn']
  const { code, output } = await run(rootDir, vite)
  if (code !== 0) throw new Error(`the page could not be built:\n${lastLines(output, 40)}`)
}

function run(cwd, [command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const keep = (chunk) => (output = (output + chunk).slice(-64_000))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', (error) => resolve({ code: 1, output: `${command}: ${error.message}` }))
    child.on('close', (code) => resolve({ code, output }))
  })
}

function lastLines(output, count = 12) {
  return output.trim().split('\n').slice(-count).join('\n')
}

function firstLines(output, count = 12) {
  return output.trim().split('\n').slice(0, count).join('\n')
}
