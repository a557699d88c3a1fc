import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readSpeed } from '@candlewick/producer/recording/speed'
import { StartError } from '@candlewick/service/process'
import { onEnd, progress, runCommand } from './command.js'
import { REPLAY_DIR } from './load-env.js'
import { ensureJars } from './local/jars.js'
import { ROOT } from './local/paths.js'
import { followReplay, type ReplayResult } from './replay/follow.js'
import { neutralEnv, startStack, type Stack } from './stack/start-stack.js'
import { findStack } from './stack/state-file.js'
import { table } from './table.js'

const USAGE = `npm run replay -- FILE [--speed max|1|N] [--symbols A,B] [--processors N] [--keep]

Plays a recording (CSV symbol,price,volume,timestamp_ms, also .gz) through a stack of its own under .local/replay, waits
until every trade is on the topic, folded and in Cassandra, and compares all that was made of it with an independent fold.

  --speed       1 = as it happened, 10 = ten times as fast, max (the default)
  --symbols     only these
  --processors  how many share the work (2)
  --keep        leaves the stack running afterwards, until Ctrl-C`

interface Arguments {
  file: string
  speed: string
  symbols: string
  processors: number
  keep: boolean
}

const OPTIONS = {
  speed: { type: 'string', default: 'max' },
  symbols: { type: 'string', default: '*' },
  processors: { type: 'string', default: '2' },
  keep: { type: 'boolean', default: false },
} as const

type Command = Parameters<typeof runCommand<typeof OPTIONS>>[0]

/** @throws StartError that says what is wrong */
function readArguments({ values, positionals }: Parameters<Command['run']>[0]): Arguments {
  const [file, ...others] = positionals
  if (file === undefined || others.length > 0) throw new StartError(`one FILE is needed\n\n${USAGE}`)
  const path = resolve(process.env['INIT_CWD'] ?? '.', file) // where npm was called; its scripts run in the checkout
  if (!existsSync(path)) throw new StartError(`there is no file ${path}`)
  if (readSpeed(values.speed) === undefined) throw new StartError('--speed must be a number above 0 or max')
  const processors = Number(values.processors)
  if (!(Number.isInteger(processors) && processors >= 1 && processors <= 12)) {
    throw new StartError('--processors must be a whole number from 1 to 12')
  }
  return { file: path, speed: values.speed, symbols: values.symbols, processors, keep: values.keep }
}

/** `npm run replay`: exit code 0 when everything is equal to the independent fold, else 1. */
async function main(wanted: Arguments): Promise<number> {
  if (findStack(REPLAY_DIR).kind === 'running') throw new StartError('a replay is running already: end it first')
  await Promise.all([ensureJars('kafka', { log: progress }), ensureJars('cassandra', { log: progress })])
  const ending = new AbortController()
  let stack: Stack | undefined
  onEnd(({ hurry }) => {
    progress('ending')
    ending.abort(new StartError('ended before it was through'))
    if (hurry) void stack?.stop({ hurry })
  })
  try {
    stack = await start(wanted, ending.signal)
    console.log(where(stack))
    const result = await followReplay(stack, { log: progress, signal: ending.signal })
    console.log(`\n${summary(result)}\n`)
    const good = result.missing === 0 && (await compare(stack))
    if (wanted.keep && !ending.signal.aborted) {
      progress('the stack is kept: Ctrl-C ends it')
      await once(ending.signal, 'abort')
    }
    return good ? 0 : 1
  } finally {
    await stack?.stop()
  }
}

async function start({ file, speed, symbols, processors }: Arguments, signal: AbortSignal): Promise<Stack> {
  await rm(REPLAY_DIR, { recursive: true, force: true })
  return startStack({
    dir: REPLAY_DIR,
    ports: 'free',
    processors,
    exchange: { recordingFile: file, recordingSpeed: speed },
    env: { ...neutralEnv(), SYMBOLS: symbols },
    log: progress,
    signal,
  })
}

function summary(result: ReplayResult): string {
  const { sent, skipped, onTopic, rejected, missing, onTopicMs, foldedMs, sunkMs } = result
  const rate = (ms: number) => [(ms / 1_000).toFixed(1), Math.round(onTopic / (ms / 1_000))]
  return [
    table(
      ['since the producer started', 'seconds', 'trades/s'],
      [
        ['all on the topic', ...rate(onTopicMs)],
        ['all folded and committed', ...rate(foldedMs)],
        ['all in Cassandra', ...rate(sunkMs)],
      ],
    ),
    '',
    table(
      ['trades', 'count'],
      [
        ['sent by the exchange', sent],
        ['passed over (no trade, or not asked for)', skipped],
        ['on the topic', onTopic],
        ['rejected, in trades.dlq', rejected],
        ['missing', missing],
      ],
    ),
    '',
    table(
      ['topic', 'partitions', 'end offsets', 'lag of sink'],
      result.topics.map(({ topic, partitions, end, lag }) => [topic, partitions, end, lag]),
    ),
  ].join('\n')
}

/** What the end-to-end tests compare with; see tests/src/oracle. */
interface OracleModule {
  compareWithOracle(
    system: {
      kafkaBrokers: string
      cassandra: { host: string; port: number }
      keyspace: string
      api: string
    },
    progress: (step: string) => void,
  ): Promise<{ differences: string[] } & Record<string, unknown>>
}

async function compare({ kafkaBrokers, cassandra, urls }: Stack): Promise<boolean> {
  const file = join(ROOT, 'tests', 'dist', 'oracle', 'compare.js')
  const { compareWithOracle } = (await import(pathToFileURL(file).href)) as OracleModule
  const outcome = await compareWithOracle({ kafkaBrokers, cassandra, keyspace: 'market', api: urls.api }, progress)
  const { differences, ...counts } = outcome
  for (const difference of differences) console.log(`  differs: ${difference}`)
  progress(`${differences.length === 0 ? 'equal to the bit' : 'NOT EQUAL'}: ${JSON.stringify(counts)}`)
  return differences.length === 0
}

function where({ urls, kafkaBrokers, cassandra, dir }: Stack): string {
  return `
  page ${urls.api}/    Kafka ${kafkaBrokers}    Cassandra ${cassandra.host}:${cassandra.port}    data and logs ${dir}
`
}

void runCommand({
  usage: USAGE,
  options: OPTIONS,
  positionals: true,
  run: (parsed) => main(readArguments(parsed)),
})
