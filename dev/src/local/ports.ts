import { createServer } from 'node:net'

/** Kafka and Cassandra know no password here: they listen for this machine alone. */
export const LOOPBACK = '127.0.0.1'

/** Below the range that systems give to outgoing connections (32768 on Linux, 49152 on macOS), above what services usually take. */
const RANGE = { from: 20_000, to: 32_000 }

/** Whether a server could listen there right now. */
export async function isPortFree(port: number, host = LOOPBACK): Promise<boolean> {
  return (await whyNoServer(port, host)) === undefined
}

/**
 * Listens there for a moment.
 * @returns undefined when a server could; else the system's code: EADDRINUSE = the port is taken, EACCES = it is not
 * allowed, EADDRNOTAVAIL or ENOTFOUND = `host` is no address of this machine
 */
export function whyNoServer(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

const given = new Set<number>()

/**
 * Ports that nobody listens on, picked at random outside of the range of outgoing connections, so that between now and
 * the moment a slow starter (a JVM) listens nobody else is likely to get them. Within a process none is given twice.
 */
export async function freePorts(count: number, host = LOOPBACK): Promise<number[]> {
  const ports: number[] = []
  for (let attempt = 0; ports.length < count; attempt++) {
    if (attempt > 1_000) throw new Error(`no free port between ${RANGE.from} and ${RANGE.to} on ${host}`)
    const port = RANGE.from + Math.floor(Math.random() * (RANGE.to - RANGE.from))
    if (given.has(port) || !(await isPortFree(port, host))) continue
    given.add(port)
    ports.push(port)
  }
  return ports
}

/** One free port, see {@link freePorts}. */
export async function freePort(host = LOOPBACK): Promise<number> {
  const [port] = await freePorts(1, host)
  return port!
}
