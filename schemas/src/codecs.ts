import type avsc from 'avsc'
import { compile } from './avro.js'
import { internText } from './intern.js'
import {
  readIdTable,
  readSchema,
  readVersion,
  type RecordSchema,
  type SchemaName,
  type SchemaVersion,
} from './schema-files.js'
import type { Average, Bar, Trade } from './types.js'

/**
 * Confluent's wire format: 0x00, the writer's schema id (int32, big endian), the Avro body.
 * https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
 */
const MAGIC = 0
const HEADER_BYTES = 5

export type CodecErrorCode =
  'NOT_AVRO' | 'UNKNOWN_SCHEMA' | 'TRUNCATED' | 'TRAILING_BYTES' | 'MALFORMED' | 'INVALID_VALUE'

/** Bytes that are no record of this schema, or a value that the schema cannot hold. */
export class CodecError extends Error {
  constructor(
    readonly code: CodecErrorCode,
    readonly schema: string,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(`${schema}: ${message}`, options)
    this.name = 'CodecError'
  }
}

/** An older (or registered) schema that a reader of today must understand. */
export interface WriterSchema {
  id: number
  definition: RecordSchema
}

/** Says which writers' schemas there are for a contract: the fixed table in history/, later a schema registry. */
export type SchemaResolver = (schema: SchemaName) => Promise<readonly WriterSchema[]>

export interface Codec<T> {
  /** The id this codec writes. */
  readonly schemaId: number
  /** @throws CodecError INVALID_VALUE */
  encode(value: T): Buffer
  /**
   * Reads in place from `start` (inclusive) to `end` (exclusive), which must hold one whole record and nothing more.
   * @throws CodecError for anything else; an unknown schema id is named
   */
  decode(bytes: Buffer, start?: number, end?: number): T
  /** Makes what earlier schemas wrote readable. Awaited before RUNNING, so that decode can stay synchronous. */
  prepare(resolver?: SchemaResolver): Promise<void>
}

/** The key of every topic: the symbol as UTF-8. */
export const symbolKey = {
  encode: (symbol: string) => Buffer.from(symbol, 'utf8'),
  decode: internText,
}

const idTable = readIdTable()

/** Every version under schemas/history. */
export const fixedTable: SchemaResolver = (schema) =>
  Promise.all(
    idTable
      .filter((version) => version.schema === schema)
      .map(async (version) => ({ id: version.id, definition: await readVersion(version) })),
  )

/** Encoding writes here first; grows to the largest record seen and is shared, as encoding is synchronous. */
let scratch = Buffer.allocUnsafeSlow(4096)

/**
 * A codec that writes `current` and reads it and whatever `prepare` brings.
 * @param schemaId the id of `current`
 */
export function createCodec<T>(name: SchemaName, current: RecordSchema, schemaId: number): Codec<T> {
  const type = compile(current)
  const resolvers = new Map<number, ReturnType<avsc.Type['createResolver']>>()

  function encode(value: T): Buffer {
    try {
      let end = type.encode(value, scratch, HEADER_BYTES)
      while (end < 0) {
        scratch = Buffer.allocUnsafeSlow(2 * (scratch.length - end))
        end = type.encode(value, scratch, HEADER_BYTES)
      }
      scratch[0] = MAGIC
      scratch.writeInt32BE(schemaId, 1)
      return Buffer.from(scratch.subarray(0, end))
    } catch (error) {
      throw new CodecError('INVALID_VALUE', name, (error as Error).message, { cause: error })
    }
  }

  function decode(bytes: Buffer, start = 0, end = bytes.length): T {
    if (end - start < HEADER_BYTES) throw new CodecError('TRUNCATED', name, `${end - start} bytes are no record`)
    if (bytes[start] !== MAGIC) {
      throw new CodecError('NOT_AVRO', name, `starts with byte ${bytes[start]}, not with 0: not in the wire format`)
    }
    const id = bytes.readInt32BE(start + 1)
    if (id === schemaId) return decodeBody(bytes, start, end, undefined)
    const resolver = resolvers.get(id)
    if (resolver === undefined) {
      const known = [schemaId, ...resolvers.keys()].join(', ')
      throw new CodecError('UNKNOWN_SCHEMA', name, `unknown schema id ${id} (known: ${known})`)
    }
    return decodeBody(bytes, start, end, resolver)
  }

  function decodeBody(
    bytes: Buffer,
    start: number,
    end: number,
    resolver: ReturnType<avsc.Type['createResolver']> | undefined,
  ): T {
    let read: { value: unknown; offset: number }
    try {
      read = type.decode(bytes, start + HEADER_BYTES, resolver)
    } catch (error) {
      throw new CodecError('MALFORMED', name, (error as Error).message, { cause: error })
    }
    // The bytes of the next record may follow in the same buffer, so reading beyond the end shows only in the offset.
    if (read.offset === end) return read.value as T
    if (read.offset < 0 || read.offset > end) throw new CodecError('TRUNCATED', name, 'the record ends too early')
    throw new CodecError('TRAILING_BYTES', name, `${end - read.offset} bytes follow the record`)
  }

  async function prepare(resolver: SchemaResolver = fixedTable): Promise<void> {
    for (const { id, definition } of await resolver(name)) {
      if (id !== schemaId) resolvers.set(id, type.createResolver(compile(definition)))
    }
  }

  return { schemaId, encode, decode, prepare }
}

function currentVersion(name: SchemaName): SchemaVersion {
  const version = idTable.filter(({ schema }) => schema === name).at(-1)
  if (version === undefined) throw new Error(`schemas/history/ids.json has no version of ${name}`)
  return version
}

function fixedCodec<T>(name: SchemaName): Codec<T> {
  return createCodec<T>(name, readSchema(name), currentVersion(name).id)
}

export const tradeCodec = fixedCodec<Trade>('trade')
export const averageCodec = fixedCodec<Average>('average')
export const barCodec = fixedCodec<Bar>('bar')

/** Prepares all three; to be awaited before the first record is read. */
export async function prepareCodecs(resolver?: SchemaResolver): Promise<void> {
  await Promise.all([tradeCodec, averageCodec, barCodec].map((codec) => codec.prepare(resolver)))
}
