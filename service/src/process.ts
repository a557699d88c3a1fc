import { kafkaSettingsBehind } from './kafka-settings.js'
import { createLogger, type Logger } from './logger.js'
import {
  describeSettings,
  describeVariable,
  readSettings,
  SettingsError,
  str,
  type Settings,
  type SettingsSpec,
} from './settings.js'

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
  /** What a library reads from the environment besides, for `--help`: name -> meaning. */
  environment?: Readonly<Record<string, string>>
  /**
   * Looks at settings that only make sense together, or with what is there (a file). All that throw a StartError or a
   * SettingsError are told at once, before `run`.
   */
  checks?: readonly ((settings: Settings<S & typeof COMMON_SETTINGS>) => unknown)[]
  /** Resolves when the process is up. A process without work left after it (a job) calls nothing and simply ends. */
  run(context: ProcessContext<S>): Promise<void>
  /** After this the process is ended even if something refuses to close. */
  closeTimeoutMs?: number
  /** A job ends when `run` resolves; a service (the default) on SIGTERM or SIGINT. */
  kind?: 'service' | 'job'
}

/**
 * The life of a process: `--help`, settings validated all at once (with `--check` nothing more), SIGTERM and SIGINT close
 * in reverse order of opening, a second signal ends at once, and an error nobody handled ends the process instead of
 * leaving it half alive.
 */
export function runProcess<S extends SettingsSpec>(definition: ProcessDefinition<S>): void {
  const { name } = definition
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.on('error', () => undefined) // whoever reads it may have read enough
    process.stdout.write(helpOf(definition))
    return
  }
  const unknown = args.find((arg) => arg !== '--check')
  if (unknown !== undefined) {
    process.stderr.write(`${name}: unknown argument ${unknown}: settings come from the environment, see --help\n`)
    process.exitCode = EXIT.wrongSetting
    return
  }
  const outcome = checkSettings(definition, process.env)
  const isRight = 'settings' in outcome
  if (args.includes('--check')) {
    process.stdout.write(isRight ? '' : `${outcome.mistakes.join('\n')}\n`)
    process.exitCode ||= isRight ? EXIT.clean : EXIT.wrongSetting
  } else if (isRight) {
    live(definition, outcome.settings, createLogger(name, outcome.settings.LOG_LEVEL))
  } else {
    process.stderr.write(`${name}: ${new SettingsError(outcome.mistakes).message}\n`)
    process.exitCode = EXIT.wrongSetting
  }
}

const USAGE = `  --check  only checks the settings: prints each mistake on a line, ends with 1 if there is one
  --help   this`

function helpOf(definition: Pick<ProcessDefinition<SettingsSpec>, 'name' | 'summary' | 'settings' | 'environment'>) {
  const { name, summary, environment = {} } = definition
  const others = Object.entries(environment).map(([variable, meaning]) => describeVariable(variable, meaning, ''))
  const lines = [describeSettings(specOf(definition)), ...others]
  return `${name}: ${summary}\n\n${USAGE}\n\nSettings (environment):\n${lines.join('\n')}\n`
}

function specOf<S extends SettingsSpec>(definition: Pick<ProcessDefinition<S>, 'settings'>) {
  return { ...COMMON_SETTINGS, ...definition.settings } as S & typeof COMMON_SETTINGS
}

/** The settings of a process, or every mistake in them: those of one setting alone first, then those of several together. */
export function checkSettings<S extends SettingsSpec>(
  definition: Pick<ProcessDefinition<S>, 'settings' | 'checks'>,
  env: NodeJS.ProcessEnv,
): { settings: Settings<S & typeof COMMON_SETTINGS> } | { mistakes: readonly string[] } {
  let settings: Settings<S & typeof COMMON_SETTINGS>
  try {
    settings = readSettings(specOf(definition), env)
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return { mistakes: error.mistakes }
  }
  const mistakes = (definition.checks ?? []).flatMap((check) => {
    try {
      check(settings)
      return []
    } catch (error) {
      if (error instanceof SettingsError) return error.mistakes
      if (error instanceof StartError) return [error.message]
      throw error
    }
  })
  return mistakes.length > 0 ? { mistakes: [...new Set(mistakes)] } : { settings }
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
