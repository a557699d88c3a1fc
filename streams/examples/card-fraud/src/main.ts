/** `npm run example:card-fraud`: the application, payments with frauds among them, and the alerts as they come. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startKafka } from '@candlewick/dev/local/kafka-server'
import { runDemo } from './demo.js'

const USAGE = `npm run example:card-fraud -- [--seconds N] [--payments-per-second N]

Looks for frauds among made up card payments until Ctrl-C, or for N seconds (default: until Ctrl-C). Uses the brokers at
KAFKA_BROKERS (host:port,...), or starts a Kafka of its own, which ends with it. PORT (8090) is where cards can be asked
about. Exit code 0 when every fraud was told of exactly once and nothing else was.`

function say(line: string): void {
  console.log(`[${process.uptime().toFixed(1).padStart(5)} s] ${line}`)
}

/** @throws TypeError that names the option */
function numberOf(name: string, text: string): number {
  if (Number(text) > 0) return Number(text)
  throw new TypeError(`--${name} must be a number above 0, not ${text}`)
}

async function main(seconds: number, paymentsPerSecond: number): Promise<number> {
  const ending = new AbortController()
  // npm hands a Ctrl-C on besides the terminal: the second one is no other wish.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort())
  const { KAFKA_BROKERS, PORT = '8090' } = process.env
  const dir = await mkdtemp(join(tmpdir(), 'card-fraud-'))
  if (!KAFKA_BROKERS) say('starting a Kafka (KAFKA_BROKERS is not set)')
  const kafka = KAFKA_BROKERS
    ? undefined
    : await startKafka({ dir: join(dir, 'kafka'), log: say, signal: ending.signal })
  const timer = setTimeout(() => ending.abort(), Math.min(seconds * 1_000, 2 ** 31 - 1))
  try {
    const brokers = (KAFKA_BROKERS ?? kafka!.brokers).split(',')
    say(`Kafka is at ${brokers.join(', ')}`)
    const { signal } = ending
    const isGood = await runDemo({
      brokers,
      stateDir: join(dir, 'state'),
      port: Number(PORT),
      paymentsPerSecond,
      signal,
      say,
    })
    return isGood ? 0 : 1
  } finally {
    clearTimeout(timer)
    await kafka?.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    seconds: { type: 'string', default: 'Infinity' },
    'payments-per-second': { type: 'string', default: '200' },
  },
})
if (values.help) console.log(USAGE)
else {
  const wanted = [numberOf('seconds', values.seconds), numberOf('payments-per-second', values['payments-per-second'])]
  process.exitCode = await main(wanted[0]!, wanted[1]!)
}
