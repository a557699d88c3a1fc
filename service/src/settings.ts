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

/** A comma separated list without blanks and repeats. */
export const list = makeValidator<readonly string[]>((input) => {
  const items = input.split(',').map((item) => item.trim())
  return [...new Set(items.filter((item) => item !== ''))]
})

/** What `--help` prints of a spec: a line per setting, its default and its meaning. */
export function describeSettings(spec: SettingsSpec): string {
  const rows = Object.entries(spec).map(([name, { desc, default: fallback }]) => {
    const value = fallback === undefined ? '(none)' : Array.isArray(fallback) ? fallback.join(',') : String(fallback)
    return `  ${name.padEnd(28)} ${desc ?? ''} [${value}]`
  })
  return rows.join('\n')
}
