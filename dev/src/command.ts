import { parseArgs, type ParseArgsConfig } from 'node:util'
import { StartError } from '@candlewick/service/process'
import { SettingsError } from '@candlewick/service/settings'

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>

/** A command of the local stack, as `npm start` or `npm run replay`. */
export interface Command<O extends Options> {
  /** What `--help` prints. */
  usage: string
  /** What it takes besides `--help`; without them any option is refused. */
  options?: O
  /** Whether it takes arguments that are no options. */
  positionals?: boolean
  /** @returns the exit code; none = 0 */
  run(parsed: Parsed<O>): Promise<number | void>
}

/** Writes progress lines with the time since the process began. */
export function progress(line: string): void {
  console.log(`[${process.uptime().toFixed(1).padStart(5)} s] ${line}`)
}

/**
 * Runs a command of the local stack. `--help` and arguments it does not know never run it. What the user can mend is told
 * in one line, anything else with its stack.
 */
export async function runCommand<O extends Options>(command: Command<O>): Promise<void> {
  // Whoever read what we say may leave (a pipe, a closed terminal): that alone ends nothing.
  process.stdout.on('error', () => undefined)
  process.exitCode = await exitCodeOf(command, process.argv.slice(2))
}

/** The same as a function of the arguments. */
export async function exitCodeOf<O extends Options>(command: Command<O>, args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(command.usage)
    return 0
  }
  try {
    return (await command.run(parse(command, args))) ?? 0
  } catch (error) {
    const expected = error instanceof StartError || error instanceof SettingsError
    console.error(expected ? error.message : error)
    return 1
  }
}

/** @throws StartError that says what is wrong and what is right */
function parse<O extends Options>({ usage, options, positionals = false }: Command<O>, args: string[]): Parsed<O> {
  try {
    return parseArgs({ args, options: options ?? {}, allowPositionals: positionals }) as Parsed<O>
  } catch (error) {
    throw new StartError(`${(error as Error).message}\n\n${usage}`, { cause: error })
  }
}

/** A second Ctrl-C within this time is the same one: npm hands it on besides the terminal. */
const SAME_SIGNAL_MS = 1_000
const PARENT_CHECK_MS = 1_000

/**
 * Calls `end` for the first Ctrl-C, SIGTERM or closed terminal, and again with `hurry` for the next one. Under npm the
 * end of npm counts as well: the shell between npm and us does not hand a SIGTERM on.
 */
export function onEnd(end: (how: { hurry: boolean }) => void): void {
  let firstMs: number | undefined
  function wanted(): void {
    const nowMs = performance.now()
    if (firstMs !== undefined && nowMs - firstMs < SAME_SIGNAL_MS) return
    end({ hurry: firstMs !== undefined })
    firstMs ??= nowMs
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, wanted)
  if (process.env['npm_lifecycle_event'] === undefined) return
  const parent = process.ppid
  const check = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(check)
    if (firstMs === undefined) wanted()
  }, PARENT_CHECK_MS)
  check.unref()
}
