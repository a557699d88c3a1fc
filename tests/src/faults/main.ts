import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { onEnd, progress, runCommand } from '@candlewick/dev/command'
import { ensureJars } from '@candlewick/dev/local/jars'
import { ROOT } from '@candlewick/dev/local/paths'
import { StartError } from '@candlewick/service/process'
import { table } from '@candlewick/dev/table'
import { toMarkdown } from './report.js'
import { runFaults } from './run.js'

const DEFAULT_RECORDS = 1_050_000

const USAGE = `npm run test:faults -- [--seed N] [--minutes M] [--records R] [--report FILE]

Runs a real Kafka, a real Cassandra, three processors and the API under load, and for M minutes kills, freezes, restarts,
scales, cuts off and bounces what it can, at random from the seed. Then it compares topics, changelogs, stores, REST and
Cassandra with an independent fold of the trades. Ends with 1 unless everything is equal.

  --seed     the same seed gives the same faults and the same trades; printed first (default: picked)
  --minutes  for how long faults are injected (3)
  --records  how many trades are sent meanwhile (${DEFAULT_RECORDS})
  --report   writes the report as Markdown

Data and logs of the system: .local/faults`

const OPTIONS = {
  seed: { type: 'string' },
  minutes: { type: 'string', default: '3' },
  records: { type: 'string', default: String(DEFAULT_RECORDS) },
  report: { type: 'string' },
} as const

type Values = Parameters<Parameters<typeof runCommand<typeof OPTIONS>>[0]['run']>[0]['values']

async function main({ seed = pickedSeed(), minutes, records, report }: Values): Promise<number> {
  console.log(`seed ${seed}`)
  const wanted = {
    minutes: readNumber('minutes', minutes, 0.1, 1_440),
    records: readNumber('records', records, 1, 1e9),
  }
  if (!Number.isInteger(wanted.records)) throw new StartError('--records must be a whole number')
  await Promise.all([ensureJars('kafka', { log: progress }), ensureJars('cassandra', { log: progress })])
  const ending = new AbortController()
  onEnd(({ hurry }) => {
    if (hurry) process.exit(1)
    progress('ending (again Ctrl-C: at once)')
    ending.abort(new StartError('ended before it was through'))
  })
  const dir = join(ROOT, '.local', 'faults')
  const found = await runFaults({ ...wanted, seed, dir, log: progress, signal: ending.signal })
  const places = found.places.map(({ name, compared, lost, duplicated, differences }) => {
    return [name, compared, lost, duplicated, differences]
  })
  console.log(
    `\n${table(
      ['what', ''],
      found.summary.map((row) => [...row]),
    )}\n`,
  )
  console.log(
    `${table(['compared with the fold of the trades', 'looked at', 'lost', 'duplicated', 'differences'], places)}\n`,
  )
  for (const complaint of found.complaints) console.log(`  ${complaint}`)
  console.log(found.isGood ? 'all is equal' : 'NOT ALL IS WELL')
  // npm runs scripts in the checkout; the file is meant from where npm was called.
  if (report !== undefined) await writeFile(resolve(process.env['INIT_CWD'] ?? '.', report), toMarkdown(found))
  return found.isGood ? 0 : 1
}

function pickedSeed(): string {
  return String(Math.floor(Math.random() * 1e6))
}

/** @throws StartError when it is no number in these bounds */
function readNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= min && value <= max) return value
  throw new StartError(`--${name} must be a number from ${min} to ${max}, not '${text}'`)
}

void runCommand({ usage: USAGE, options: OPTIONS, run: ({ values }) => main(values) })
