import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const CHART = `${ROOT}helm/candlewick`
/** Of the project: the tag of our images and the version of the chart. */
export const VERSION = (JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string }).version
/** Without a cluster a helm that was built by `go install` takes Kubernetes for 1.20. */
export const KUBERNETES = ['--kube-version', '1.35.0']

/** Example values, by file name. */
export const EXAMPLES = readdirSync(`${CHART}/examples`).filter((name) => name.endsWith('.yaml'))

/** What a tool printed, both outputs; a failure says what it printed too. */
export async function tool(
  command: string,
  args: readonly string[],
  options: { input?: string } = {},
): Promise<string> {
  const running = run(command, [...args], { cwd: ROOT, maxBuffer: 64 << 20 })
  if (options.input !== undefined) running.child.stdin?.end(options.input)
  return running.then(
    ({ stdout, stderr }) => `${stdout}${stderr}`,
    (error: Error & { stdout?: string; stderr?: string }) => {
      throw new Error(`${command} ${args[0]}: ${error.message}\n${error.stdout ?? ''}\n${error.stderr ?? ''}`)
    },
  )
}

/** Whether a command can be started; if not it says on stdout what is not tested, and where the command comes from. */
export async function isThere(
  command: string,
  versionArgument: string,
  whatIsLeftOut: string,
  whence = '.ci/tools.sh installs it',
): Promise<boolean> {
  try {
    await run(command, [versionArgument])
    return true
  } catch {
    process.stdout.write(`${whatIsLeftOut}: ${command} is not there (${whence})\n`)
    return false
  }
}

/** The chart's manifests, as `helm template` prints them. */
export async function render(args: readonly string[] = []): Promise<string> {
  const { stdout } = await run(
    'helm',
    ['template', 'candlewick', CHART, '--namespace', 'candlewick', ...KUBERNETES, ...args],
    {
      cwd: ROOT,
      maxBuffer: 64 << 20,
    },
  )
  return stdout
}
