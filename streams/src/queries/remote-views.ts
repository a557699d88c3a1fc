import { partitionFor } from '../kafka/partitioner.js'
import type { Serde } from '../serde.js'
import type { StoredWindow } from '../state/window-store.js'
import type { KeyValueStoreSpec, WindowStoreSpec } from '../topology/stores.js'
import { mergePages } from './page-merge.js'
import type { QuerySource } from './protocol.js'
import type { NoAnswer } from './outcomes.js'
import type { AskOptions, QueryClient } from './query-client.js'
import { DEFAULT_LIMIT, MAX_LIMIT, type RangePage, type WindowPage } from './store-reads.js'
import type { KeyRangeOptions, ScanOptions } from './task-view.js'

/** What came of asking for a value. */
export type ValueOutcome<V> =
  /** `value` is undefined when there is no such key. */
  { readonly kind: 'ok'; readonly value: V | undefined; readonly source: QuerySource } | NoAnswer

export interface RangeOptions<K> extends KeyRangeOptions<K>, AskOptions {
  /** Only what comes after this key: the `next` of the page before. */
  after?: K
}

/** What came of asking for a range of keys. */
export type RangeOutcome<K, V> =
  | {
      readonly kind: 'ok'
      /** In the order of the keys' bytes, of all partitions together. */
      readonly entries: readonly [K, V][]
      /** There are more: ask again with `after` = this. */
      readonly next?: K
      /** Whose keys may be missing, because nobody answers for them just now. */
      readonly missingPartitions: readonly number[]
      readonly sources: readonly QuerySource[]
    }
  | NoAnswer

/** What came of asking for the windows of a key. */
export type WindowsOutcome<V> =
  | {
      readonly kind: 'ok'
      /** In the order of their starts. */
      readonly windows: readonly StoredWindow<V>[]
      /** There are more behind the last one. */
      readonly more: boolean
      readonly source: QuerySource
    }
  | NoAnswer

/** A key-value store of an application as its other processes see it: the same reads as a view has, over the network. */
export class RemoteKeyValueView<K, V> {
  constructor(
    private readonly client: Pick<QueryClient, 'ask' | 'askAll'>,
    private readonly spec: KeyValueStoreSpec<K, V>,
  ) {}

  /** The value of a key, from the instance that has it or its standby. */
  async get(key: K, options: AskOptions = {}): Promise<ValueOutcome<V>> {
    const bytes = this.spec.key.encode(key)
    const outcome = await this.client.ask<string>({
      store: this.spec.name,
      path: pathOf(this.spec, 'get'),
      params: { key: bytes.toString('base64url') },
      partitionOf: (partitions) => partitionFor(bytes, partitions),
      options,
    })
    if (outcome.kind === 'not-found') return { kind: 'ok', value: undefined, source: outcome.source }
    if (outcome.kind !== 'ok') return outcome
    return { kind: 'ok', value: fromText(this.spec.value, outcome.result), source: outcome.source }
  }

  /** Keys and values of all instances, at most `limit` of them (default 1,000, at most 10,000). */
  async range(options: RangeOptions<K> = {}): Promise<RangeOutcome<K, V>> {
    const { key, value, name } = this.spec
    const { from, to, prefix, after, reverse = false, limit = DEFAULT_LIMIT, ...ask } = options
    checkLimit(limit)
    const text = (bound: K | Buffer) => (Buffer.isBuffer(bound) ? bound : key.encode(bound)).toString('base64url')
    const { results, missingPartitions, because } = await this.client.askAll<RangePage>({
      store: name,
      path: pathOf(this.spec, 'range'),
      params: {
        ...(from !== undefined && { from: text(from) }),
        ...(to !== undefined && { to: text(to) }),
        ...(prefix !== undefined && { prefix: text(prefix) }),
        ...(after !== undefined && { after: text(after) }),
        limit: String(limit),
        reverse: String(reverse),
      },
      options: ask,
    })
    if (results.length === 0 && because !== undefined) return because
    const pages = results.map(({ result: { entries, more } }) => {
      return { entries: entries.map(([k, v]) => [asBytes(k), asBytes(v)] as const), more }
    })
    const merged = mergePages(pages, { limit, reverse })
    const entries = merged.entries.map(([k, v]): [K, V] => [key.decode(k, 0, k.length), value.decode(v, 0, v.length)])
    return {
      kind: 'ok',
      entries,
      ...(merged.more && { next: entries.at(-1)![0] }),
      missingPartitions,
      sources: results.map(({ source }) => source),
    }
  }
}

/** A window store of an application as its other processes see it. */
export class RemoteWindowView<K, V> {
  constructor(
    private readonly client: Pick<QueryClient, 'ask'>,
    private readonly spec: WindowStoreSpec<K, V>,
  ) {}

  /** The windows of a key that start from `fromMs` to `toMs`, both inclusive; at most `limit` (default 1,000, at most 10,000). */
  async fetch(
    key: K,
    fromMs: number,
    toMs: number,
    options: ScanOptions & AskOptions = {},
  ): Promise<WindowsOutcome<V>> {
    const { reverse = false, limit = DEFAULT_LIMIT, ...ask } = options
    checkLimit(limit)
    const bytes = this.spec.key.encode(key)
    const outcome = await this.client.ask<WindowPage>({
      store: this.spec.name,
      path: pathOf(this.spec, 'window'),
      params: {
        key: bytes.toString('base64url'),
        from: String(asTime(fromMs)),
        to: String(asTime(toMs)),
        limit: String(limit),
        reverse: String(reverse),
      },
      partitionOf: (partitions) => partitionFor(bytes, partitions),
      options: ask,
    })
    if (outcome.kind === 'not-found')
      throw new Error('a window store answers with what it has, also when that is nothing')
    if (outcome.kind !== 'ok') return outcome
    const { windows, more } = outcome.result
    return {
      kind: 'ok',
      windows: windows.map(({ value, ...stored }) => ({ ...stored, value: fromText(this.spec.value, value) })),
      more,
      source: outcome.source,
    }
  }
}

function pathOf({ name }: { name: string }, read: string): string {
  return `/stores/${encodeURIComponent(name)}/${read}`
}

function asBytes(text: string): Buffer {
  return Buffer.from(text, 'base64url')
}

function fromText<V>(serde: Serde<V>, text: string): V {
  const bytes = asBytes(text)
  return serde.decode(bytes, 0, bytes.length)
}

function asTime(ms: number): number {
  return Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, Math.floor(ms)))
}

/** A wrong limit is a mistake of the caller, not of a running system. */
function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return
  throw new RangeError(`limit: ${limit} is not a whole number from 1 to ${MAX_LIMIT}`)
}
