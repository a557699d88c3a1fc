import { writeFileSync } from 'node:fs'
import { renderTypes } from './render-types.js'
import { readSchema, SCHEMA_NAMES } from './schema-files.js'

/** Writes src/types.ts from the .avsc files. Run by `npm run generate -w schemas`. */
writeFileSync(new URL('../src/types.ts', import.meta.url), renderTypes(SCHEMA_NAMES.map(readSchema)))
