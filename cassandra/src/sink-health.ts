import type { WriterState } from './sink/writer.js'

/**
 * `starting`: not connected to Cassandra yet. `waiting`: Cassandra takes no writes; the lag grows, nothing is lost.
 * `stopped`: it ended by itself and needs a restart.
 */
export type SinkHealth = { kind: 'starting' } | WriterState | { kind: 'closed' } | { kind: 'stopped'; reason: string }

/** A reason while the tables are not being filled, for /readyz. */
export function whyNotReady(health: SinkHealth): string | undefined {
  switch (health.kind) {
    case 'writing':
      return undefined
    case 'starting':
      return 'not connected to Cassandra yet'
    case 'waiting':
      return `Cassandra takes no writes: ${health.reason}`
    case 'closed':
      return 'closed'
    case 'stopped':
      return `stopped: ${health.reason}`
  }
}
