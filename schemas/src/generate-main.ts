import { writeFileSync } from 'node:fs'
import { renderTypes } from './render-types.js'
import { readSchema, SCHEMA_NAMES } from './schema-files.js'

/** Writes src/types.ts from the .avsc files. Run by `npm run generate -w schemas`. */
const args = process.argv.slice(2)
if (args.length === 0) {
  writeFileSync(new URL('../src/types.ts', import.meta.url), renderTypes(SCHEMA_NAMES.map(readSchema)))
} else {
  console.log('npm run generate -w schemas: writes src/types.ts from the .avsc files; it takes no arguments.')
  process.exitCode = args.includes('--help') ? 0 : 1
}
