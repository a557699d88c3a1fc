import type { SymbolSummary } from '@candlewick/schemas/queries'
import type { QuerySource } from '@candlewick/streams/queries/protocol'
import type { FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { LiveState } from '../dependencies.js'
import { problemOf } from '../live/ask.js'
import { ListQuery, problemAnswer, SymbolsAnswer } from '../schemas.js'

/** GET /symbols: every symbol there has been a trade of, with where it stands. */
export function symbolsRoute(app: FastifyInstance, live: LiveState): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/symbols',
    {
      schema: {
        tags: ['live'],
        summary: 'All symbols, a page at a time',
        querystring: ListQuery,
        response: {
          200: SymbolsAnswer,
          400: problemAnswer('bad parameter'),
          502: problemAnswer('the processors refuse this API'),
          503: problemAnswer('no processor at all, or only staler answers than maxStaleMs'),
        },
      },
    },
    async (request) => {
      const { limit, after, ...bounds } = request.query
      // Each partition tells its own first ones: one more than a page of them together says whether there is a next.
      const params = { limit: String(limit + 1), ...(after !== undefined && { after }) }
      const { results, because } = await live.queryAll<SymbolSummary[]>('symbols', { params, ...bounds })
      if (results.length === 0) throw problemOf(because ?? { kind: 'no-owner' }, 'every symbol')
      const rest = newestOfEach(results)
      const symbols = rest.slice(0, limit)
      return {
        symbols,
        sources: distinct(results.map(({ source }) => source)),
        ...(rest.length > limit && { next: symbols.at(-1)!.symbol }),
        ...(because !== undefined && { partial: true as const }),
      }
    },
  )
}

/** One summary per symbol, ascending by bytes as the stores do: while a task moves two instances may answer for it, the fresher is believed. */
function newestOfEach(results: readonly { result: SymbolSummary[]; source: QuerySource }[]): SymbolSummary[] {
  const summaries = new Map<string, SymbolSummary>()
  for (const { result } of [...results].sort((a, b) => b.source.staleMs - a.source.staleMs)) {
    for (const summary of result) summaries.set(summary.symbol, summary)
  }
  return [...summaries.values()].sort((a, b) => Buffer.compare(Buffer.from(a.symbol), Buffer.from(b.symbol)))
}

/** Each instance and role once, with the age of the oldest of its answers. */
function distinct(sources: readonly QuerySource[]): QuerySource[] {
  const byName = new Map<string, QuerySource>()
  for (const source of sources) {
    const name = `${source.role} ${source.instance}`
    const staleMs = Math.max(source.staleMs, byName.get(name)?.staleMs ?? 0)
    byName.set(name, { ...source, staleMs })
  }
  return [...byName.values()]
}
