/** The part of a sink's thread that keeping it alive needs (cassandra/src/sink-thread.ts). */
export interface Sink {
  onExit(listener: (error: Error | undefined) => void): void
  close(): Promise<void>
}

export interface SinkKeeperOptions {
  start(): Sink
  log: { warn(fields: object, message: string): void }
}

const FIRST_DELAY_MS = 1_000
const LONGEST_DELAY_MS = 60_000
/** A sink that lived this long was well: the next death waits the first delay again. */
const WELL_AFTER_MS = 300_000

/**
 * Keeps a sink running: one that dies is started again, each time after twice the delay. Whatever happens to it, the
 * processor goes on; Cassandra falls behind meanwhile, and the sink's committed offsets say where it continues.
 * @returns close(), which ends the sink for good
 */
export function keepSinkRunning({ start, log }: SinkKeeperOptions): { close(): Promise<void> } {
  let delayMs = FIRST_DELAY_MS
  let timer: NodeJS.Timeout | undefined
  let sink: Sink | undefined
  let closed: Promise<void> | undefined

  function startOne(): void {
    const startedAtMs = performance.now()
    const onExit = (error: unknown) => {
      sink = undefined
      if (closed !== undefined) return
      if (performance.now() - startedAtMs >= WELL_AFTER_MS) delayMs = FIRST_DELAY_MS
      log.warn({ err: error, delayMs }, 'the sink ended and is started again')
      timer = setTimeout(startOne, delayMs)
      delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS)
    }
    try {
      sink = start()
      sink.onExit(onExit)
    } catch (error) {
      onExit(error)
    }
  }

  async function close(): Promise<void> {
    clearTimeout(timer)
    await sink?.close()
  }

  startOne()

  return { close: () => (closed ??= close()) }
}
