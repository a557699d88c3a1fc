import { cleanEnv, makeValidator, port, str, bool, num, type CleanedEnv, type ValidatorSpec } from 'envalid'

/**
 * Settings come from the environment, are validated once at the start of a process, and all mistakes are told at once.
 * The validators are envalid's; those below are the ones a pipeline needs besides.
 */
export { bool, num, port, str }

export type SettingsSpec = Record<string, ValidatorSpec<unknown>>
export type Settings<S extends SettingsSpec> = Readonly<CleanedEnv<S>>

/** One or more settings are missing or wrong; the message names each with what is wrong. (Secrets are plain texts, which cannot be wrong: none shows.) */
export class SettingsError extends Error {
  readonly code = 'SETTINGS'
  constructor(readonly mistakes: readonly string[]) {
    super(`wrong settings: ${mistakes.join('; ')}`)
    this.name = 'SettingsError'
  }
}

/**
 * Reads and validates the settings of one process.
 * @param spec name of each environment variable -> its validator with `desc` and `default`
 * @throws SettingsError naming every missing or wrong one
 */
export function readSettings<S extends SettingsSpec>(spec: S, env: NodeJS.ProcessEnv = process.env): Settings<S> {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  return cleanEnv(present, spec, {
    reporter: ({ errors }) => {
      const mistakes = Object.entries(errors).map(([name, error]) => `${name}: ${error?.message ?? 'is wrong'}`)
      if (mistakes.length > 0) throw new SettingsError(mistakes)
    },
  })
}

/** Whole numbers from `min` on. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER) {
  return makeValidator<number>((input) => {
    const value = Number(input)
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new TypeError(`must be a whole number from ${min}${max < Number.MAX_SAFE_INTEGER ? ` to ${max}` : ''}`)
    }
    return value
  })
}

/** A number above 0, broken ones included. */
export const positive = makeValidator<number>((input) => {
  const value = Number(input)
  if (!(value > 0 && Number.isFinite(value))) throw new TypeError('must be a number above 0')
  return value
})

/** A comma separated list without blanks and repeats. */
export const list = makeValidator<readonly string[]>(items)

/** The same, of which each item has to be right. @param what how a right one looks */
export function listOf(isRight: (item: string) => boolean, what: string) {
  return makeValidator<readonly string[]>((input) => {
    const all = items(input)
    const wrong = all.filter((item) => !isRight(item))
    if (wrong.length > 0) throw new TypeError(`each must be ${what}; wrong: ${wrong.join(', ')}`)
    return all
  })
}

function items(input: string): string[] {
  const all = input.split(',').map((item) => item.trim())
  return [...new Set(all.filter((item) => item !== ''))]
}

/** `host:port` as Kafka's clients take it. */
export function isHostAndPort(text: string): boolean {
  const [, port] = /^[^\s:/]+:(\d{1,5})$/.exec(text) ?? []
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

/** What `--help` prints of a spec: a line per setting, its default and its meaning. */
export function describeSettings(spec: SettingsSpec): string {
  const rows = Object.entries(spec).map(([name, { desc, default: fallback }]) => {
    const value = fallback === undefined ? '(none)' : Array.isArray(fallback) ? fallback.join(',') : String(fallback)
    return describeVariable(name, desc ?? '', value)
  })
  return rows.join('\n')
}

/** One such line. */
export function describeVariable(name: string, meaning: string, fallback: string): string {
  return `  ${name.padEnd(28)} ${meaning} [${fallback}]`
}
