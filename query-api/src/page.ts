import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const NOT_BUILT = `Candlewick's API is running; the page is not built yet: run \`npm run build\`, then start the API again.
GET /docs shows what there is to ask for.
`

/**
 * GET /: the page as Vite built it. Names of assets hold their content's hash, so those never have to be asked again.
 * @param directory with index.html in it
 */
export async function addPage(app: FastifyInstance, directory: string): Promise<void> {
  if (!existsSync(join(directory, 'index.html'))) {
    app.get('/', { schema: { hide: true } }, async (_request, reply) =>
      reply.type('text/plain; charset=utf-8').send(NOT_BUILT),
    )
    return
  }
  // Browsers ask for it by this name where a page names none, as /docs does.
  app.get('/favicon.ico', { schema: { hide: true } }, (_request, reply) => reply.redirect('favicon.svg'))
  await app.register(fastifyStatic, {
    root: directory,
    wildcard: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      const isAsset = path.startsWith(join(directory, 'assets'))
      void reply.header('cache-control', isAsset ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
}
