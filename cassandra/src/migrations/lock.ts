import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'cassandra-driver'
import type { Log } from '../client.js'
import { MigrationError } from './errors.js'

export interface LockOptions {
  /** The lock of a run that died is free after this time; a living one renews it three times as often. */
  expirySeconds: number
  /** How long to wait for another run. */
  patienceMs: number
  log: Log
}

/**
 * Runs `work` while holding the keyspace's migration lock: a row written by lightweight transactions with a TTL.
 * Only one run works at a time; one that dies frees the lock by its expiry. Statements must still be repeatable:
 * a run that was paused for longer than the expiry may overlap with the next one.
 * @param work gets `stillHeld`, which throws MigrationError when the lock was lost; call it before every step
 * @throws MigrationError when another run keeps the lock for longer than our patience
 */
export async function withMigrationLock<T>(
  client: Client,
  keyspace: string,
  options: LockOptions,
  work: (stillHeld: () => void) => Promise<T>,
): Promise<T> {
  const table = `${keyspace}.schema_lock`
  const holder = `${hostname()} ${process.pid} ${randomUUID()}`
  const once = { isIdempotent: false }
  await acquire()

  let lost: string | undefined
  const renewal = setInterval(
    () => {
      renew().catch((error: unknown) => {
        lost = `the migration lock could not be renewed: ${error instanceof Error ? error.message : String(error)}`
      })
    },
    (options.expirySeconds * 1000) / 3,
  )
  try {
    return await work(() => {
      if (lost !== undefined) throw new MigrationError(`${lost}; run the migrations again`)
    })
  } finally {
    clearInterval(renewal)
    // Not released (Cassandra is away): the row expires.
    await client
      .execute(`DELETE FROM ${table} WHERE name = 'migrations' IF holder = ?`, [holder], once)
      .catch(() => undefined)
  }

  async function acquire(): Promise<void> {
    const deadlineMs = performance.now() + options.patienceMs
    let told: string | undefined
    for (;;) {
      const result = await client.execute(
        `INSERT INTO ${table} (name, holder) VALUES ('migrations', ?) IF NOT EXISTS USING TTL ${options.expirySeconds}`,
        [holder],
        once,
      )
      const other = result.first().get('holder') as string | null | undefined
      // After a timeout the driver does not know whether it was applied: then the row names us.
      if (result.wasApplied() || other === holder) return
      if (performance.now() > deadlineMs) {
        throw new MigrationError(`another migration run (${other}) holds the lock and does not end`)
      }
      if (other !== told) options.log.info({ holder: other }, 'another migration run is at work: waiting for it')
      told = other ?? undefined
      await sleep(250)
    }
  }

  async function renew(): Promise<void> {
    const result = await client.execute(
      `UPDATE ${table} USING TTL ${options.expirySeconds} SET holder = ? WHERE name = 'migrations' IF holder = ?`,
      [holder, holder],
      once,
    )
    if (!result.wasApplied()) lost = 'another migration run took the lock over'
  }
}
