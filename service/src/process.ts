import { kafkaSettingsBehind } from './kafka-settings.js'
import { createLogger, type Logger } from './logger.js'
import { describeSettings, readSettings, SettingsError, str, type Settings, type SettingsSpec } from './settings.js'

/** Exit codes every process of ours keeps to. */
export const EXIT = { clean: 0, wrongSetting: 1, failure: 70 } as const

/** Settings that every process understands. */
export const COMMON_SETTINGS = {
  HOST: str({ default: '127.0.0.1', desc: 'address to listen on' }),
  LOG_LEVEL: str({
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    desc: 'least level of a log line that is written',
  }),
}

/** A prerequisite is missing or refused (a wrong key, a taken port): told in one line, exit code 1, no stack. */
export class StartError extends Error {
  readonly code = 'START'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'StartError'
  }
}

export interface ProcessContext<S extends SettingsSpec> {
  settings: Settings<S & typeof COMMON_SETTINGS>
  log: Logger
  /** Registers what is to be closed at the end; closed in reverse order of registration. */
  onClose(name: string, close: () => Promise<void> | void): void
  /** Ends the process in order because it cannot go on: exit code 1 for what a setting mends, else 70. */
  fail(error: unknown): void
}

export interface ProcessDefinition<S extends SettingsSpec> {
  name: string
  /** One sentence for `--help`. */
  summary: string
  settings: S
  /** Resolves when the process is up. A process without work left after it (a job) calls nothing and simply ends. */
  run(context: ProcessContext<S>): Promise<void>
  /** After this the process is ended even if something refuses to close. */
  closeTimeoutMs?: number
  /** A job ends when `run` resolves; a service (the default) on SIGTERM or SIGINT. */
  kind?: 'service' | 'job'
}

/**
 * The life of a process: `--help`, settings validated all at once, SIGTERM and SIGINT close in reverse order of opening,
 * a second signal ends at once, and an error nobody handled ends the process instead of leaving it half alive.
 */
export function runProcess<S extends SettingsSpec>(definition: ProcessDefinition<S>): void {
  const spec = { ...COMMON_SETTINGS, ...definition.settings } as S & typeof COMMON_SETTINGS
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(
      `${definition.name}: ${definition.summary}\n\nSettings (environment):\n${describeSettings(spec)}\n`,
    )
    return
  }
  let settings: Settings<typeof spec>
  try {
    settings = readSettings(spec)
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    process.stderr.write(`${definition.name}: ${error.message}\n`)
    process.exitCode = EXIT.wrongSetting
    return
  }
  live(definition, settings, createLogger(definition.name, settings.LOG_LEVEL))
}

function live<S extends SettingsSpec>(
  definition: ProcessDefinition<S>,
  settings: Settings<S & typeof COMMON_SETTINGS>,
  log: Logger,
): void {
  const closers: { name: string; close: () => Promise<void> | void }[] = []
  let closing = false

  async function end(exitCode: number): Promise<void> {
    closing = true
    const deadline = setTimeout(() => {
      log.error({}, 'closing took too long: ending now')
      process.exit(EXIT.failure)
    }, definition.closeTimeoutMs ?? 20_000)
    for (const { name, close } of closers.reverse()) {
      try {
        await close()
      } catch (error) {
        log.error({ err: error, part: name }, 'could not close cleanly')
        exitCode ||= EXIT.failure
      }
    }
    clearTimeout(deadline)
    log.flush()
    process.exit(exitCode)
  }

  function fail(error: unknown): void {
    const behind = kafkaSettingsBehind(error)
    const expected = error instanceof StartError || error instanceof SettingsError || behind !== undefined
    const hint = behind === undefined ? '' : `; look at ${behind}`
    if (expected) process.stderr.write(`${definition.name}: ${(error as Error).message}${hint}\n`)
    else log.fatal({ err: error }, 'cannot go on')
    if (!closing) void end(expected ? EXIT.wrongSetting : EXIT.failure)
  }

  function onSignal(signal: NodeJS.Signals): void {
    if (closing) process.exit(EXIT.failure)
    log.info({ signal }, 'closing')
    void end(EXIT.clean)
  }

  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', fail)

  const context: ProcessContext<S> = { settings, log, onClose: (name, close) => closers.push({ name, close }), fail }
  definition.run(context).then(() => {
    if (definition.kind === 'job' && !closing) void end(EXIT.clean)
  }, fail)
}
