import type { Client } from 'cassandra-driver'

/** What we touch of the driver's own. */
interface ControlConnection {
  /** @param hosts given when it calls itself to go on with the next host */
  _refresh(hosts?: unknown): Promise<void>
  readonly _isShuttingDown?: boolean
}

const AGAIN_AFTER_MS = 1_000

/**
 * When its node goes away the driver's control connection looks for another one. Two events of one outage may both start
 * that; one then takes away what the other works with, and the process ends by an unhandled TypeError (NODEJS-681,
 * https://github.com/apache/cassandra-nodejs-driver/pull/462; seen with 4.10.0 while Cassandra was restarted again and
 * again). So there is one search at a time, and one that fails is made again instead of ending the process.
 */
export function mendControlConnection(client: Client): void {
  const control = (client as unknown as { controlConnection: ControlConnection }).controlConnection
  const search = control._refresh.bind(control)
  let searching: Promise<void> | undefined
  const again = () => {
    if (control._isShuttingDown) return
    setTimeout(() => void control._refresh(), AGAIN_AFTER_MS).unref()
  }
  control._refresh = (hosts) => {
    if (hosts !== undefined) return search(hosts)
    searching ??= search()
      .catch(again)
      .finally(() => {
        searching = undefined
      })
    return searching
  }
}
