import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Whether a program is there; if not, says on stdout which tests are skipped for it. */
export function hasTool(name: string, what: string, packages = 'prometheus, prometheus-alertmanager'): boolean {
  const there = spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined
  if (!there) process.stdout.write(`${what}: skipped, ${name} is not there (Debian: ${packages})\n`)
  return there
}

/** Runs a tool at the root of the checkout. @throws Error with what it said when it does not end with 0 */
export function runTool(command: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', input })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`)
  return stdout
}
