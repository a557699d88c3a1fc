import { connect, createServer, type Socket } from 'node:net'

/** A way to a server that a test can cut: connections break and new ones are refused, or nothing gets through any more. */
export interface Proxy {
  port: number
  /** Breaks all connections and refuses new ones, as a process that died. */
  cut(): void
  /** Keeps connections and accepts new ones, but nothing moves, as a machine that hangs. */
  freeze(): void
  restore(): void
  close(): Promise<void>
}

export async function proxyTo(server: { host: string; port: number }): Promise<Proxy> {
  let mode: 'open' | 'cut' | 'frozen' = 'open'
  const sockets = new Set<Socket>()
  const listener = createServer((near) => {
    if (mode === 'cut') {
      near.destroy()
      return
    }
    const far = connect(server.port, server.host)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (bytes) => to.write(bytes))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (mode === 'frozen') from.pause()
    }
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (listener.address() as { port: number }).port,
    cut() {
      mode = 'cut'
      destroyAll()
    },
    freeze() {
      mode = 'frozen'
      for (const socket of sockets) socket.pause()
    },
    restore() {
      mode = 'open'
      for (const socket of sockets) socket.resume()
    },
    async close() {
      destroyAll()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}
