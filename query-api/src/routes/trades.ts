import type { FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Clock, History, LiveState } from '../dependencies.js'
import { askHistory } from '../history/ask.js'
import { unknownSymbol } from '../live/ask.js'
import { parseRange, parseSymbol } from '../parameters.js'
import { given } from '../problems.js'
import { problemAnswer, SymbolParams, TradesAnswer, TradesQuery } from '../schemas.js'

/** GET /symbols/:symbol/trades: single trades as Cassandra keeps them. */
export function tradesRoute(app: FastifyInstance, live: LiveState, history: History, clock: Clock): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/symbols/:symbol/trades',
    {
      schema: {
        tags: ['history'],
        summary: 'Trades',
        params: SymbolParams,
        querystring: TradesQuery,
        response: {
          200: TradesAnswer,
          400: problemAnswer('bad parameter, with the reason'),
          404: problemAnswer('unknown symbol'),
          503: problemAnswer('Cassandra is away'),
        },
      },
    },
    async (request) => {
      const symbol = given(parseSymbol(request.params.symbol))
      const range = given(parseRange(request.query, clock.nowMs()))
      const kept = await askHistory(history.trades(symbol, range))
      if (kept.length === 0 && (await live.query('symbol', symbol)).kind === 'not-found') throw unknownSymbol(symbol)
      const trades = kept.map(({ timestamp, seq, price, volume, conditions }) => ({
        timestamp,
        seq,
        price,
        volume,
        conditions: conditions === null ? null : [...conditions],
      }))
      return { symbol, trades }
    },
  )
}
