import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fingerprintOf } from './avro.js'
import { averageCodec, barCodec, prepareCodecs, tradeCodec } from './codecs.js'
import { renderTypes } from './render-types.js'
import { readIdTable, readSchema, readVersion, SCHEMA_NAMES } from './schema-files.js'

const idTable = readIdTable()
const codecs = { trade: tradeCodec, average: averageCodec, bar: barCodec }

/** One record of every version that was ever written, as it stood on a topic. Lines are added, never changed. */
const WRITTEN: Readonly<Record<number, { hex: string; reads: object }>> = JSON.parse(
  readFileSync(new URL('../history/records.json', import.meta.url), 'utf8'),
) as Readonly<Record<number, { hex: string; reads: object }>>

test('types.ts is what the contracts generate (else: npm run generate -w schemas)', () => {
  const generated = readFileSync(new URL('types.ts', import.meta.url), 'utf8')
  expect(generated).toBe(renderTypes(SCHEMA_NAMES.map(readSchema)))
})

test('ids are unique and versions count up from 1', () => {
  expect(new Set(idTable.map(({ id }) => id)).size).toBe(idTable.length)
  for (const name of SCHEMA_NAMES) {
    const versions = idTable.filter(({ schema }) => schema === name).map(({ version }) => version)
    expect(versions).toEqual(versions.map((_, index) => index + 1))
  }
})

test.each(idTable)('$schema version $version (id $id) is what it was when it was written with', async (version) => {
  expect(fingerprintOf(await readVersion(version))).toBe(version.fingerprint)
})

describe.each(SCHEMA_NAMES)('%s', (name) => {
  test('a changed contract is a new version in history/ with an id of its own', () => {
    const newest = idTable.filter(({ schema }) => schema === name).at(-1)
    expect(fingerprintOf(readSchema(name))).toBe(newest?.fingerprint)
    expect(codecs[name].schemaId).toBe(newest?.id)
  })
})

test.each(idTable)('records written with id $id are read today', async ({ id, schema }) => {
  await prepareCodecs()
  const { hex, reads } = WRITTEN[id]!
  expect(codecs[schema].decode(Buffer.from(hex, 'hex'))).toEqual(reads)
})
