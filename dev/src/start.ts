import { once } from 'node:events'
import { describeSettings, readSettings } from '@candlewick/service/settings'
import { onEnd, progress, runCommand } from './command.js'
import { loadEnv, RUN_DIR } from './load-env.js'
import { ensureJars } from './local/jars.js'
import { LOCAL_SETTINGS, type LocalSettings } from './settings.js'
import { checkSettings } from './stack/check-settings.js'
import { startStack, type Stack } from './stack/start-stack.js'

/** What Finnhub's free plan takes on a connection: https://finnhub.io/pricing */
const FREE_PLAN_SYMBOLS = 50

const USAGE = `npm start

Runs everything on this machine until Ctrl-C or npm stop: Kafka, Cassandra, a simulated exchange (or Finnhub, with
FINNHUB_API_KEY), the producer, the processors, the API and the page. Data and logs are in .local/run.

Settings come from the environment or .env; .env.example lists those of every process. Those of npm start itself:

${describeSettings(LOCAL_SETTINGS)}`

async function main(): Promise<void> {
  loadEnv()
  await checkSettings(process.env)
  const settings = readSettings(LOCAL_SETTINGS)
  const ending = new AbortController()
  let stack: Stack | undefined
  onEnd(({ hurry }) => {
    progress(hurry ? 'ending at once' : 'ending (again Ctrl-C: at once)')
    ending.abort(new Error('ended before it was up'))
    if (hurry) void stack?.stop({ hurry })
  })

  announce(settings)
  await Promise.all([ensureJars('kafka', { log: progress }), ensureJars('cassandra', { log: progress })])
  try {
    stack = await startStack({
      dir: RUN_DIR,
      ports: 'fixed',
      exchange: settings.FINNHUB_API_KEY === '' ? {} : false,
      env: process.env,
      log: progress,
      signal: ending.signal,
    })
  } catch (error) {
    if (ending.signal.aborted) return
    throw error
  }
  if (!ending.signal.aborted) {
    console.log(welcome(stack))
    await once(ending.signal, 'abort')
  }
  await stack.stop()
  progress('all ended')
}

function announce({ FINNHUB_API_KEY }: LocalSettings): void {
  if (FINNHUB_API_KEY === '') {
    progress('no FINNHUB_API_KEY is set: a simulated exchange sends the trades')
    return
  }
  const symbols = (process.env['SYMBOLS'] ?? '').split(',').filter((symbol) => symbol.trim() !== '')
  if (symbols.length > FREE_PLAN_SYMBOLS) {
    progress(`${symbols.length} SYMBOLS: Finnhub's free plan takes ${FREE_PLAN_SYMBOLS} and refuses those after them`)
  }
}

function welcome({ urls, dir }: Stack): string {
  return `
  Candlewick is up.

    page     ${urls.api}/
    API      curl ${urls.api}/symbols/AAPL/avg
    docs     ${urls.api}/docs
    status   npm run status        logs  ${dir}/logs
    end      Ctrl-C or npm stop    data are kept; npm run reset clears them
`
}

void runCommand({ usage: USAGE, run: main })
