import { MAX_BARS } from '@candlewick/schemas/queries'
import type { Bar } from '@candlewick/schemas/types'
import type { FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Clock, History, LiveState } from '../dependencies.js'
import { askHistory } from '../history/ask.js'
import { overlay } from '../history/overlay.js'
import { problemOf, unknownSymbol } from '../live/ask.js'
import { parseRange, parseSymbol, type Range } from '../parameters.js'
import { given } from '../problems.js'
import { BarsAnswer, BarsQuery, problemAnswer, SymbolParams } from '../schemas.js'

/** GET /symbols/:symbol/bars: the history, overlaid with what the processor's stores hold, the open bar included. */
export function barsRoute(app: FastifyInstance, live: LiveState, history: History, clock: Clock): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/symbols/:symbol/bars',
    {
      schema: {
        tags: ['history'],
        summary: 'OHLCV bars',
        params: SymbolParams,
        querystring: BarsQuery,
        response: {
          200: BarsAnswer,
          400: problemAnswer('bad parameter, with the reason'),
          404: problemAnswer('unknown symbol'),
          503: problemAnswer('Cassandra is away, or only staler answers than maxStaleMs'),
        },
      },
    },
    async (request) => {
      const symbol = given(parseSymbol(request.params.symbol))
      const { interval, maxStaleMs } = request.query
      const range = given(parseRange(request.query, clock.nowMs()))
      const [answer, kept] = await Promise.all([
        live.query<Bar[]>('bars', symbol, {
          params: liveParams(interval, range),
          ...(maxStaleMs !== undefined && { maxStaleMs }),
        }),
        askHistory(history.bars(symbol, interval, range)),
      ])
      switch (answer.kind) {
        case 'ok':
          return { symbol, interval, bars: overlay(kept, answer.result, range), source: answer.source }
        case 'not-found':
          // Known from the history alone: the application was started afresh and has seen no trade of it yet.
          if (kept.length === 0) throw unknownSymbol(symbol)
          return { symbol, interval, bars: kept, source: answer.source }
        case 'no-owner':
        case 'unauthorized':
          return { symbol, interval, bars: kept, partial: true as const }
        case 'too-stale':
        case 'bad-request':
          throw problemOf(answer, symbol)
      }
    },
  )
}

/** The stores follow the same rule of `from` and `limit` as the history; they keep fewer bars than MAX_BARS. */
function liveParams(interval: string, { fromMs, toMs, limit }: Range): Record<string, string> {
  const params = { interval, to: String(toMs), limit: String(Math.min(limit, MAX_BARS)) }
  return fromMs === undefined ? params : { ...params, from: String(fromMs) }
}
