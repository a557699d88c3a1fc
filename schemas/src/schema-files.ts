import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/** The contracts of this package, by the name of their file. */
export const SCHEMA_NAMES = ['trade', 'average', 'bar'] as const
export type SchemaName = (typeof SCHEMA_NAMES)[number]

/** One version of a contract as it is or was written; ids are never reused and files in history/ never change. */
export interface SchemaVersion {
  /** The id in the wire format's header. */
  id: number
  schema: SchemaName
  /** Counts from 1. */
  version: number
  /** SHA-256 of the schema's Parsing Canonical Form, hex: what two writers must agree on. */
  fingerprint: string
}

/** An Avro record as it stands in a file; what avsc needs is checked by avsc. */
export interface RecordSchema {
  type: 'record'
  name: string
  namespace: string
  doc: string
  fields: readonly FieldSchema[]
}

export interface FieldSchema {
  name: string
  doc: string
  type: unknown
  default?: unknown
}

const ROOT = new URL('../', import.meta.url)

/** The current contract, e.g. `trade.avsc`. */
export function readSchema(name: SchemaName): RecordSchema {
  return JSON.parse(readFileSync(new URL(`${name}.avsc`, ROOT), 'utf8')) as RecordSchema
}

/** The fixed id table: every version that was ever written, oldest first. */
export function readIdTable(): SchemaVersion[] {
  return JSON.parse(readFileSync(new URL('history/ids.json', ROOT), 'utf8')) as SchemaVersion[]
}

/** A version out of history/. */
export async function readVersion({ schema, version }: SchemaVersion): Promise<RecordSchema> {
  return JSON.parse(await readFile(new URL(`history/${schema}.${version}.avsc`, ROOT), 'utf8')) as RecordSchema
}
