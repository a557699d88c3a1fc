import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readLog } from './leveldb-log.js'
import { readManifest, type Manifest } from './leveldb-manifest.js'
import { damageOfTable } from './leveldb-table.js'

/** Bytes of a batch in a log before its changes: sequence number of the first one: uint64 | how many: uint32. */
const BATCH_HEADER_BYTES = 12

/**
 * Looks whether a LevelDB that is not open holds what was written to it, up to some moment. LevelDB itself opens over a
 * damaged log without a word, leaving out what it cannot read, and reads blocks of tables without their checksums. A log
 * that ends in the middle of a record is no damage: so it stands after a crash, and what came before is whole.
 * Reads every file once: a second for about a gigabyte that is in the page cache.
 * @returns what is damaged, in words; undefined = nothing, also where there is no database yet
 */
export async function damageOfLevelDb(directory: string): Promise<string | undefined> {
  const files = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  // CURRENT is the last that is made of a new database: killed before, it has never held anything.
  const hasHeld = files.some((name) => /\.(log|ldb)$/.test(name))
  if (!files.includes('CURRENT')) return hasHeld ? 'CURRENT is missing' : undefined
  const current = /^(MANIFEST-\d+)\n$/.exec(await readFile(join(directory, 'CURRENT'), 'latin1'))?.[1]
  if (current === undefined) return 'CURRENT names no MANIFEST'
  if (!files.includes(current)) return `${current} is missing`
  let manifest: Manifest
  try {
    manifest = readManifest(await readFile(join(directory, current)))
  } catch (error) {
    if (error instanceof RangeError) return `${current}: ${error.message}`
    throw error
  }
  return (await damageOfTables(directory, files, manifest)) ?? (await damageOfLogs(directory, files, manifest))
}

async function damageOfTables(
  directory: string,
  files: readonly string[],
  { tables }: Manifest,
): Promise<string | undefined> {
  for (const [number, sizeBytes] of tables) {
    const name = files.find((file) => /\.(ldb|sst)$/.test(file) && Number.parseInt(file, 10) === number)
    if (name === undefined) return `table ${number} is missing`
    const bytes = await readFile(join(directory, name))
    if (bytes.length !== sizeBytes) return `${name} has ${bytes.length} bytes instead of ${sizeBytes}`
    const damage = damageOfTable(bytes)
    if (damage !== undefined) return `${name}: ${damage}`
  }
  return undefined
}

/** What LevelDB would take out of its logs must be all that was written up to some moment: nothing may be left out. */
async function damageOfLogs(
  directory: string,
  files: readonly string[],
  { logNumber }: Manifest,
): Promise<string | undefined> {
  const logs = files
    .filter((name) => /^\d+\.log$/.test(name) && Number.parseInt(name, 10) >= logNumber)
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
  if (logNumber > 0 && !logs.some((name) => Number.parseInt(name, 10) === logNumber))
    return `log ${logNumber} is missing`
  let unreadable: string | undefined
  let nextSequence: bigint | undefined
  for (const name of logs) {
    for (const piece of readLog(await readFile(join(directory, name)))) {
      if ('unreadableAt' in piece || piece.payload.length < BATCH_HEADER_BYTES) {
        unreadable ??= `${name} cannot be read${'unreadableAt' in piece ? ` at ${piece.unreadableAt}` : ''}`
        continue
      }
      if (unreadable !== undefined) return unreadable
      const sequence = piece.payload.readBigUInt64LE(0)
      // LevelDB begins a log only when the one before it is full: an empty one has lost what it held, as in a power cut.
      if (nextSequence === undefined && name !== logs[0]) return `${logs[0]} is empty, and ${name} goes on after it`
      if (nextSequence !== undefined && sequence !== nextSequence) return `${name} lacks changes before ${sequence}`
      nextSequence = sequence + BigInt(piece.payload.readUInt32LE(8))
    }
  }
  return undefined
}
