import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { LagClock, lagOf } from './lag.js'
import type { System } from './system.js'

/** A bounce of Cassandra and how far behind the processors were at its beginning, and at worst as long as nothing else happened. */
export interface CassandraBounce {
  beforeMs: number
  worstMs: number
}

/** The processors may be so far behind while Cassandra is away, busy as the machine is with starting it. */
export const MAX_BEHIND_MS = 5_000
const LOOK_EVERY_MS = 500

export interface WatchOptions {
  system: System
  admin: Admin
  groupId: string
  onlyCassandraIsAway: () => boolean
  signal: AbortSignal
  /** Told now and then. */
  tell: (clock: LagClock) => void
}

const TELL_EVERY_MS = 10_000

/** Looks at lag and counters until the signal; whatever does not answer just now is looked at the next time. */
export class Watch {
  readonly clock = new LagClock()
  readonly cassandraBounces: CassandraBounce[] = []
  #bounce: CassandraBounce | undefined

  constructor(private readonly options: WatchOptions) {}

  async run(): Promise<void> {
    const { system, signal, tell } = this.options
    let toldMs = performance.now()
    while (!signal.aborted) {
      await Promise.all([this.#lookAtLag(), ...system.processors.map((processor) => processor.count())])
      if (performance.now() - toldMs >= TELL_EVERY_MS) {
        toldMs = performance.now()
        tell(this.clock)
      }
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  async #lookAtLag(): Promise<void> {
    const { admin, groupId, onlyCassandraIsAway } = this.options
    const away = onlyCassandraIsAway()
    try {
      this.clock.take(await lagOf(admin, groupId, ['trades']), performance.now())
    } catch {
      return // the broker is away
    }
    const { behindMs } = this.clock
    if (!away) this.#bounce = undefined
    else if (this.#bounce === undefined) {
      this.#bounce = { beforeMs: behindMs, worstMs: behindMs }
      this.cassandraBounces.push(this.#bounce)
    } else this.#bounce.worstMs = Math.max(this.#bounce.worstMs, behindMs)
  }
}

/** Whether the processors fell behind for it. */
export function moved({ beforeMs, worstMs }: CassandraBounce): boolean {
  return worstMs > Math.max(MAX_BEHIND_MS, beforeMs)
}
