import type { Replication, TableOptions } from '../settings.js'

const DAY_SECONDS = 86_400
/** TimeWindowCompactionStrategy works well with up to about 50 windows; one table per window is read at worst. */
const WINDOWS_AT_MOST = 50

/** Days of one window of the trades table, so that a TTL has at most 50 of them; trades kept for ever: a month. */
export function tradesWindowDays(ttlDays: number): number {
  return ttlDays === 0 ? 30 : Math.max(1, Math.ceil(ttlDays / WINDOWS_AT_MOST))
}

/** What a migration may name as ${...}. */
export function placeholders(keyspace: string, options: TableOptions): Record<string, string> {
  return {
    keyspace,
    trades_ttl_seconds: String(options.tradesTtlDays * DAY_SECONDS),
    trades_window_days: String(tradesWindowDays(options.tradesTtlDays)),
    averages_ttl_seconds: String(options.averagesTtlDays * DAY_SECONDS),
  }
}

/** A replication as CREATE KEYSPACE takes it and as system_schema.keyspaces shows it. */
export function replicationMap(replication: Replication): Record<string, string> {
  return replication.class === 'SimpleStrategy'
    ? { class: replication.class, replication_factor: String(replication.factor) }
    : {
        class: replication.class,
        ...Object.fromEntries(Object.entries(replication.factors).map(([name, factor]) => [name, String(factor)])),
      }
}

export function cqlMap(map: Readonly<Record<string, string>>): string {
  const quote = (value: string) => `'${value.replaceAll("'", "''")}'`
  return `{${Object.entries(map)
    .map(([key, value]) => `${quote(key)}: ${quote(value)}`)
    .join(', ')}}`
}
