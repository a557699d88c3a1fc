import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { StartError } from '@candlewick/service/process'
import { readSettings, SettingsError } from '@candlewick/service/settings'
import { ROOT } from '../local/paths.js'
import { LOCAL_SETTINGS } from '../settings.js'
import { commonEnv, planStack, type PlanOptions } from './plan.js'
import { portsOf } from './ports.js'

/**
 * Makes sure that npm start and every process it is going to start can work with these settings, before any of them runs.
 * @throws SettingsError with all mistakes of all processes
 */
export async function checkSettings(env: NodeJS.ProcessEnv): Promise<void> {
  const mistakes = new Set([...ownMistakes(env), ...(await mistakesOfProcesses(env))])
  if (mistakes.size > 0) throw new SettingsError([...mistakes])
}

function ownMistakes(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    const settings = readSettings(LOCAL_SETTINGS, env)
    portsOf(settings, settings.PROCESSORS)
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.mistakes
    if (error instanceof StartError) return [error.message]
    throw error
  }
}

/** What the main files say to `--check`. Where they listen is ours to check: they are handed the default ports. */
async function mistakesOfProcesses(env: NodeJS.ProcessEnv): Promise<string[]> {
  const defaults = readSettings(LOCAL_SETTINGS, {})
  const plan: PlanOptions = {
    dir: '',
    ports: portsOf(defaults, 1),
    host: defaults.HOST,
    exchange: env['FINNHUB_API_KEY'] ? false : {},
    symbolsAreSet: Boolean(env['SYMBOLS']),
  }
  const parts = planStack(plan)
  const given = Object.assign({ ...env, ...commonEnv(plan) }, ...parts.map((part) => part.env)) as NodeJS.ProcessEnv
  const mains = parts.flatMap(({ main }) => (main === undefined ? [] : [join(ROOT, main)]))
  const checkMain = join(ROOT, 'dev', 'dist', 'check-main.js')
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [checkMain, ...mains], { env: given }, (error, stdout, stderr) => {
      const said = stdout.split('\n').filter((line) => line !== '')
      if (error !== null && said.length === 0) reject(new Error(`the settings could not be checked: ${stderr}`))
      else resolve(said)
    })
  })
}
