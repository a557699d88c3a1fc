import type { SymbolSummary } from '@candlewick/schemas/queries'
import type { Logger } from '@candlewick/service/logger'
import { setTimeout } from 'node:timers/promises'
import type { LiveState } from '../dependencies.js'
import type { LatestMarket } from './latest-market.js'

/**
 * Fills the market with where every symbol stood before the feed began to follow: what the topics have said since is
 * newer and stays. To be called once the feed follows, so that nothing falls between.
 * @returns why it is not complete, for people: call again later; undefined when every partition was asked
 */
export async function seedFromProcessors(live: LiveState, market: LatestMarket): Promise<string | undefined> {
  const { results, missingPartitions, because } = await live.queryAll<SymbolSummary[]>('symbols')
  for (const { result } of results) {
    for (const { symbol, last, lastTime, minute, day } of result) {
      if (last !== null && lastTime !== null) market.seedPrice({ symbol, price: last, volume: 0, time: lastTime })
      if (minute !== null) market.seedBar(minute)
      if (day !== null) market.seedBar(day)
    }
  }
  return because && `${because.kind}: ${missingPartitions.length === 0 ? 'all' : missingPartitions.join(', ')}`
}

const RETRY_MS = 1_000

/** Seeds until every partition's owner has been asked, or until it is called off. Never rejects. */
export async function keepSeeding(
  live: LiveState,
  market: LatestMarket,
  { signal, log, retryMs = RETRY_MS }: { signal: AbortSignal; log: Pick<Logger, 'info'>; retryMs?: number },
): Promise<void> {
  let told = ''
  while (!signal.aborted) {
    const missing = await seedFromProcessors(live, market)
    if (missing === undefined) {
      log.info({ symbols: market.symbolCount }, 'snapshots are complete')
      return
    }
    // While a system starts partitions get their owners one after the other: no reason to warn.
    if (missing !== told) log.info({ missing }, 'snapshots wait for partitions that nobody answers for yet')
    told = missing
    await setTimeout(retryMs, undefined, { signal }).catch(() => undefined)
  }
}
