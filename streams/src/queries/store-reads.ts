import type { Serde } from '../serde.js'
import type { KeyValueStoreSpec, WindowStoreSpec } from '../topology/stores.js'
import type { Topology } from '../topology/topology.js'
import type { Query, QueryRequest } from './answer.js'
import { QueryRefusal, readWhole } from './request.js'
import { QueryError, type TaskView } from './task-view.js'

/**
 * What can be asked of any store without a query of one's own. Keys and values travel as the bytes their serdes write,
 * in base64url, so that every serde will do:
 *
 *     GET /stores/<key-value store>/get?key=                                         -> the value
 *     GET /stores/<key-value store>/range?partition=&from=&to=&prefix=&after=&...    -> RangePage
 *     GET /stores/<window store>/window?key=&from=<ms>&to=<ms>&limit=&reverse=true   -> WindowPage
 */
export interface RangePage {
  /** Key and value, in the order of keys. */
  readonly entries: readonly (readonly [key: string, value: string])[]
  /** There are more behind the last one: ask again with it as `after`. */
  readonly more: boolean
}

export interface WindowPage {
  /** In the order of their starts. */
  readonly windows: readonly StoredBytes[]
  readonly more: boolean
}

export interface StoredBytes {
  readonly startMs: number
  readonly closed: boolean
  readonly revision: number
  readonly value: string
}

/** A page ends at `limit` entries, or with the entry that makes it this large: its bytes are held in memory here and there. */
export const DEFAULT_LIMIT = 1_000
export const MAX_LIMIT = 10_000
const MAX_PAGE_BYTES = 4 << 20

const bytes: Serde<Buffer> = {
  encode: (value) => value,
  decode: (source, start, end) => source.subarray(start, end),
}

/**
 * A read of a store as a query.
 * @throws QueryRefusal BAD_REQUEST when there is no such store, or no such read of a store of its kind
 */
export function storeRead(
  topology: Topology,
  store: string,
  read: string,
): { query: Query; keyBytes: (key: string) => Buffer } {
  const spec = topology.subTopologies.flatMap(({ stores }) => stores).find(({ name }) => name === store)
  if (spec === undefined) throw new QueryRefusal({ code: 'BAD_REQUEST', message: `there is no store '${store}'` })
  const keyBytes = (key: string) => readBytes('key', key)
  const query = (ask: Query['ask']) => ({ query: { store: spec, ask }, keyBytes })
  if (spec.kind === 'key-value') {
    const raw: KeyValueStoreSpec<Buffer, Buffer> = { ...spec, key: bytes, value: bytes }
    if (read === 'get') return query((view, request) => get(raw, view, request))
    if (read === 'range') return query((view, request) => range(raw, view, request))
  } else {
    const raw: WindowStoreSpec<Buffer, Buffer> = { ...spec, key: bytes, value: bytes }
    if (read === 'window') return query((view, request) => windows(raw, view, request))
  }
  throw new QueryRefusal({ code: 'BAD_REQUEST', message: `a ${spec.kind} store has no '${read}'` })
}

function get(spec: KeyValueStoreSpec<Buffer, Buffer>, view: TaskView, { key, params }: QueryRequest) {
  known(params, [])
  return view
    .keyValue(spec)
    .get(readBytes('key', required('key', key)))
    ?.toString('base64url')
}

async function range(
  spec: KeyValueStoreSpec<Buffer, Buffer>,
  view: TaskView,
  { params }: QueryRequest,
): Promise<RangePage> {
  known(params, ['from', 'to', 'prefix', 'after', 'limit', 'reverse'])
  const after = optionalBytes('after', params)
  const reverse = readFlag('reverse', params)
  const from = optionalBytes('from', params)
  const to = optionalBytes('to', params)
  const prefix = optionalBytes('prefix', params)
  const limit = readLimit(params)
  const page = new Page<readonly [string, string]>(limit)
  const bounds = {
    ...bound('from', reverse ? from : largest(from, after)),
    ...bound('to', reverse ? smallest(to, after) : to),
    ...bound('prefix', prefix),
  }
  // One that is left out, because it ended the page before, and one to see whether there are more.
  for await (const [key, value] of view.keyValue(spec).range({ ...bounds, reverse, limit: limit + 2 })) {
    if (after !== undefined && key.equals(after)) continue
    if (!page.add(key.length + value.length, () => [key.toString('base64url'), value.toString('base64url')])) break
  }
  return { entries: page.items, more: page.isCut }
}

async function windows(
  spec: WindowStoreSpec<Buffer, Buffer>,
  view: TaskView,
  { key, params }: QueryRequest,
): Promise<WindowPage> {
  known(params, ['from', 'to', 'limit', 'reverse'])
  const keyBytes = readBytes('key', required('key', key))
  const fromMs = readWhole('from', params['from'] ?? '0')
  const toMs = readWhole('to', params['to'] ?? String(Number.MAX_SAFE_INTEGER))
  const limit = readLimit(params)
  const options = { limit: limit + 1, reverse: readFlag('reverse', params) }
  const page = new Page<StoredBytes>(limit)
  for await (const { value, ...stored } of view.window(spec).scan(keyBytes, fromMs, toMs, options)) {
    if (!page.add(value.length, () => ({ ...stored, value: value.toString('base64url') }))) break
  }
  return { windows: page.items, more: page.isCut }
}

/** Takes what fits; one item always does. */
class Page<T> {
  readonly items: T[] = []
  isCut = false
  #sizeBytes = 0

  constructor(private readonly limit: number) {}

  /** @returns false when the page is full: this one is not in it */
  add(sizeBytes: number, item: () => T): boolean {
    this.isCut = this.items.length >= this.limit || (this.items.length > 0 && this.#sizeBytes >= MAX_PAGE_BYTES)
    if (this.isCut) return false
    this.#sizeBytes += sizeBytes
    this.items.push(item())
    return true
  }
}

function bound<Name extends string>(name: Name, value: Buffer | undefined) {
  return (value === undefined ? {} : { [name]: value }) as { [N in Name]?: Buffer }
}

function largest(a: Buffer | undefined, b: Buffer | undefined): Buffer | undefined {
  return a === undefined || (b !== undefined && b.compare(a) > 0) ? b : a
}

function smallest(a: Buffer | undefined, b: Buffer | undefined): Buffer | undefined {
  return a === undefined || (b !== undefined && b.compare(a) < 0) ? b : a
}

function known(params: Readonly<Record<string, string>>, names: readonly string[]): void {
  const unknown = Object.keys(params).find((name) => !names.includes(name))
  if (unknown !== undefined) throw new QueryError(400, `there is no parameter '${unknown}' here`)
}

function required(name: string, value: string | undefined): string {
  if (value === undefined) throw new QueryError(400, `${name}: is missing`)
  return value
}

function optionalBytes(name: string, params: Readonly<Record<string, string>>): Buffer | undefined {
  const text = params[name]
  return text === undefined ? undefined : readBytes(name, text)
}

function readBytes(name: string, text: string): Buffer {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new QueryError(400, `${name}: must be base64url without padding`)
  return Buffer.from(text, 'base64url')
}

function readFlag(name: string, params: Readonly<Record<string, string>>): boolean {
  const text = params[name] ?? 'false'
  if (text !== 'true' && text !== 'false') throw new QueryError(400, `${name}: must be true or false`)
  return text === 'true'
}

function readLimit(params: Readonly<Record<string, string>>): number {
  const limit = readWhole('limit', params['limit'] ?? String(DEFAULT_LIMIT))
  if (limit < 1 || limit > MAX_LIMIT) throw new QueryError(400, `limit: must be 1 to ${MAX_LIMIT}`)
  return limit
}
