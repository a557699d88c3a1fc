import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describeSettings } from '@candlewick/service/settings'
import { expect, test } from 'vitest'
import { ROOT } from './local/paths.js'
import { LOCAL_SETTINGS } from './settings.js'
import { planStack } from './stack/plan.js'

/** `topics` makes one copy, `processor` leaves its changelogs to the brokers. */
const DIFFER = ['REPLICATION_FACTOR']

/** Every main file of the local stack, and the sink alone, which it does not run. */
function mains(): string[] {
  const ports = { kafka: 1, cassandra: 2, api: 3, exchange: 4, producer: 5, processors: [6] }
  const plan = planStack({ dir: '', ports, host: '', exchange: {}, symbolsAreSet: false })
  return [...plan.flatMap(({ main }) => main ?? []), 'cassandra/dist/sink-main.js']
}

/** Name -> default of what a help text tells: `  NAME   what it is [default]`. */
function declared(help: string): [string, string][] {
  return [...help.matchAll(/^ {2}([A-Z][A-Z0-9_]+) .*\[(.*)\]$/gm)].map(([, name, value]) => [name!, value!])
}

test(
  '.env.example has every setting of every process with its default, and nothing else',
  { timeout: 60_000 },
  async () => {
    const helps = await Promise.all(
      mains().map((main) => promisify(execFile)(process.execPath, [join(ROOT, main), '--help'])),
    )
    const settings = new Map([describeSettings(LOCAL_SETTINGS), ...helps.map(({ stdout }) => stdout)].flatMap(declared))
    const example = readFileSync(join(ROOT, '.env.example'), 'utf8')
    const lines = [...example.matchAll(/^#?([A-Z][A-Z0-9_]+)=(.*)$/gm)].map(
      ([, name, value]) => [name!, value!] as const,
    )
    const shown = new Map(lines)
    expect(shown.size).toBe(lines.length)
    expect([...shown.keys()].sort()).toEqual([...settings.keys()].sort())
    for (const [name, value] of settings)
      if (!DIFFER.includes(name)) expect(`${name}=${shown.get(name)}`).toBe(`${name}=${value}`)
  },
)
