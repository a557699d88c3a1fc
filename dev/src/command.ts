import { StartError } from '@candlewick/service/process'
import { SettingsError } from '@candlewick/service/settings'

/** Writes progress lines with the time since the process began. */
export function progress(line: string): void {
  console.log(`[${process.uptime().toFixed(1).padStart(5)} s] ${line}`)
}

/** Runs a command of the local stack: what the user can mend is told in one line, anything else with its stack. */
export async function runCommand(run: () => Promise<number | void>): Promise<void> {
  // Whoever read what we say may leave (a pipe, a closed terminal): that alone ends nothing.
  process.stdout.on('error', () => undefined)
  try {
    process.exitCode = (await run()) ?? 0
  } catch (error) {
    const expected = error instanceof StartError || error instanceof SettingsError
    console.error(expected ? error.message : error)
    process.exitCode = 1
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
