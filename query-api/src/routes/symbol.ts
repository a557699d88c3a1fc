import type { SymbolAverage, SymbolSummary } from '@candlewick/schemas/queries'
import type { FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { LiveState } from '../dependencies.js'
import { askOwner } from '../live/ask.js'
import { parseSymbol, parseWindow } from '../parameters.js'
import { given } from '../problems.js'
import { AverageAnswer, AverageQuery, LiveQuery, problemAnswer, SymbolAnswer, SymbolParams } from '../schemas.js'

const problems = {
  400: problemAnswer('bad parameter, with the reason'),
  404: problemAnswer('unknown symbol'),
  502: problemAnswer('the processors refuse this API'),
  503: problemAnswer('no owner right now, or only staler answers than maxStaleMs; Retry-After says when to ask again'),
}

/** GET /symbols/:symbol and /symbols/:symbol/avg: live state of one symbol, answered by the processor that owns it. */
export function symbolRoutes(app: FastifyInstance, live: LiveState): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  typed.get(
    '/symbols/:symbol',
    {
      schema: {
        tags: ['live'],
        summary: 'Where a symbol stands',
        params: SymbolParams,
        querystring: LiveQuery,
        response: { 200: SymbolAnswer, ...problems },
      },
    },
    async (request) => {
      const symbol = given(parseSymbol(request.params.symbol))
      const { result, source } = await askOwner<SymbolSummary>(live, 'symbol', symbol, request.query)
      return { ...result, source }
    },
  )
  typed.get(
    '/symbols/:symbol/avg',
    {
      schema: {
        tags: ['live'],
        summary: 'Running or moving average: mean, VWAP, mean of price * volume',
        params: SymbolParams,
        querystring: AverageQuery,
        response: { 200: AverageAnswer, ...problems },
      },
    },
    async (request) => {
      const symbol = given(parseSymbol(request.params.symbol))
      const windowMs = given(parseWindow(request.query.window))
      const params: Record<string, string> = windowMs === null ? {} : { window: String(windowMs) }
      const { window: _, ...bounds } = request.query
      const { result, source } = await askOwner<SymbolAverage>(live, 'average', symbol, { params, ...bounds })
      return { ...result, source }
    },
  )
}
