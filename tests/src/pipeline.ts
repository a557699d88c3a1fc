import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startStack, type Stack, type StackOptions } from '@candlewick/dev/stack/start-stack'
import { compareWithOracle, type Comparison } from './oracle/compare.js'
import { getJson, until } from './wait.js'

/** The whole system in a folder of its own, with a bounded number of trades from the simulated exchange. */
export class Pipeline {
  private constructor(
    readonly stack: Stack,
    private readonly dir: string,
    private readonly trades: number,
  ) {}

  /** @param exchange `total` trades are sent, then the exchange is done */
  static async start(
    exchange: NonNullable<Exclude<StackOptions['exchange'], false>> & { total: number },
    options: Pick<StackOptions, 'restartAfterMs'> = {},
  ): Promise<Pipeline> {
    const dir = await mkdtemp(join(tmpdir(), 'candlewick-e2e-'))
    const stack = await startStack({ dir, ports: 'free', processors: 2, exchange, ...options })
    return new Pipeline(stack, dir, exchange.total)
  }

  async stop(): Promise<void> {
    await this.stack.stop()
    await rm(this.dir, { recursive: true, force: true })
  }

  /** Trades that the processors have counted. */
  async folded(): Promise<number> {
    const { symbols } = await getJson<{ symbols: { average: { count: number } }[] }>(`${this.stack.urls.api}/symbols`)
    return symbols.reduce((sum, { average }) => sum + average.count, 0)
  }

  /** What the exchange has sent so far. */
  sent(): Promise<{ sent: number; done: boolean }> {
    return getJson(`${this.stack.urls.exchange}/status`)
  }

  /** What the producer knows to have missed. */
  async gaps(): Promise<readonly unknown[]> {
    const { gaps } = await getJson<{ gaps: unknown[] }>(`${this.stack.urls.producer}/gaps`)
    return gaps
  }

  async untilFolded(trades: number): Promise<void> {
    await until(`${trades} trades to be folded`, async () => ((await this.folded()) >= trades ? true : undefined))
  }

  async untilSent(trades: number): Promise<void> {
    await until(`${trades} trades to be sent`, async () => ((await this.sent()).sent >= trades ? true : undefined))
  }

  async untilAllIsSent(): Promise<void> {
    await until('the exchange to be done', async () => ((await this.sent()).done ? true : undefined), {
      timeoutMs: 90_000,
    })
  }

  /**
   * The last comparison with the independent fold: of the moment when everything was visible everywhere, or of the end
   * of the time the slowest reader needs.
   */
  async comparedWithOracle(): Promise<Comparison> {
    const { kafkaBrokers, cassandra, urls } = this.stack
    let last: Comparison | undefined
    const equal = async () => {
      last = await compareWithOracle({ kafkaBrokers, cassandra, keyspace: 'market', api: urls.api })
      return last.trades >= this.trades && last.differences.length === 0 ? last : undefined
    }
    return until('everything to equal the independent fold', equal, { timeoutMs: 90_000, everyMs: 500 }).catch(
      (error: unknown) => {
        if (last === undefined) throw error
        return last
      },
    )
  }
}
