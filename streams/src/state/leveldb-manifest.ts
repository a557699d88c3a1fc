import { readLog } from './leveldb-log.js'
import { readVarint } from './leveldb-varint.js'

/** What a MANIFEST says of a database: the files it is made of. */
export interface Manifest {
  /** Size in bytes by number. */
  readonly tables: ReadonlyMap<number, number>
  /** The oldest log that is not in the tables yet; 0 = there is none. */
  readonly logNumber: number
}

/**
 * Reads a MANIFEST: a log of changes
 * (https://github.com/google/leveldb/blob/main/doc/impl.md#manifest, tags in db/version_edit.cc).
 * @throws RangeError where something before its end cannot be read
 */
export function readManifest(bytes: Buffer): Manifest {
  const tables = new Map<number, number>()
  let logNumber = 0
  let unreadableAt: number | undefined
  for (const piece of readLog(bytes)) {
    if ('unreadableAt' in piece) {
      unreadableAt ??= piece.unreadableAt
      continue
    }
    if (unreadableAt !== undefined) throw new RangeError(`it cannot be read at ${unreadableAt}`)
    logNumber = applyEdit(piece.payload, tables) ?? logNumber
  }
  return { tables, logNumber }
}

/** @returns the number of the log, where the change tells one */
function applyEdit(edit: Buffer, tables: Map<number, number>): number | undefined {
  let at = 0
  let logNumber: number | undefined
  const number = () => {
    const [value, end] = readVarint(edit, at)
    at = end
    return value
  }
  const skipText = () => {
    const length = number()
    at += length
  }
  while (at < edit.length) {
    const tag = number()
    switch (tag) {
      case 1: // comparator
        skipText()
        break
      case 2: // log number
        logNumber = number()
        break
      case 3: // next file number
      case 4: // last sequence
      case 9: // previous log number
        number()
        break
      case 5: // where to compact next: level, key
        number()
        skipText()
        break
      case 6: // deleted file: level, number
        number()
        tables.delete(number())
        break
      case 7: {
        // new file: level, number, size, smallest key, largest key
        number()
        const file = number()
        tables.set(file, number())
        skipText()
        skipText()
        break
      }
      default:
        throw new RangeError(`it has a change of an unknown kind, ${tag}`)
    }
  }
  return logNumber
}
