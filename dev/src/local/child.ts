import { spawn } from 'node:child_process'
import { StartError } from '@candlewick/service/process'
import { RotatingLog } from './rotating-log.js'
import { watchdog } from './watchdog.js'

export interface ChildSpec {
  /** For messages. */
  name: string
  command: string
  args: readonly string[]
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Where its output goes, see {@link RotatingLog}. */
  logFile: string
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** `exit code 1` or `SIGKILL`. */
export function describeExit({ code, signal }: Exit): string {
  return signal ?? `exit code ${code}`
}

export interface Child {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** Resolves when it has ended, never rejects. */
  readonly exited: Promise<Exit>
  /** Set once it has ended. */
  readonly exit: Exit | undefined
  kill(signal: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL when it has not ended within `timeoutMs` (10 s). Resolves when it is gone. */
  stop(options?: { timeoutMs?: number; signal?: NodeJS.Signals }): Promise<Exit>
  lastLines(count: number): string[]
}

/**
 * Starts a process that outlives Ctrl-C in our terminal (it has a session of its own), so that we can end it in order,
 * but never us: see watchdog.ts.
 * @throws StartError when the command cannot be run
 */
export async function startChild(spec: ChildSpec): Promise<Child> {
  const log = new RotatingLog(spec.logFile)
  const child = spawn(spec.command, spec.args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(spec.cwd !== undefined && { cwd: spec.cwd }),
    env: spec.env ?? process.env,
  })
  const { pid } = child
  if (pid !== undefined) watchdog.add(pid)
  child.stdout.on('data', (chunk: Buffer) => log.write(chunk))
  child.stderr.on('data', (chunk: Buffer) => log.write(chunk))
  let exit: Exit | undefined
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', () => pid !== undefined && watchdog.forget(pid))
    child.once('close', (code, signal) => {
      exit = { code, signal }
      log.close()
      resolve(exit)
    })
  })
  if (pid === undefined) {
    const error = await new Promise<Error>((resolve) => child.once('error', resolve))
    throw new StartError(`cannot run ${spec.command} for ${spec.name}: ${error.message}`, { cause: error })
  }

  function kill(signal: NodeJS.Signals): void {
    if (child.exitCode !== null || child.signalCode !== null) return
    try {
      process.kill(signal === 'SIGKILL' ? -pid! : pid!, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  return {
    name: spec.name,
    pid,
    logFile: spec.logFile,
    exited,
    get exit() {
      return exit
    },
    kill,
    async stop({ timeoutMs = 10_000, signal = 'SIGTERM' } = {}) {
      kill(signal)
      const deadline = setTimeout(() => kill('SIGKILL'), timeoutMs)
      const ended = await exited
      clearTimeout(deadline)
      return ended
    },
    lastLines: (count) => log.lastLines(count),
  }
}
