import type { FieldSchema, RecordSchema } from './schema-files.js'

const HEADER = `// Generated from the .avsc files by npm run generate -w schemas: edit those.\n`

const PRIMITIVES: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  string: 'string',
}

/**
 * The TypeScript of the contracts: one interface per record, its docs as comments. Formatted as Prettier would.
 * @throws Error for an Avro type that none of the contracts has used so far
 */
export function renderTypes(schemas: readonly RecordSchema[]): string {
  return HEADER + schemas.map(renderRecord).join('')
}

function renderRecord(schema: RecordSchema): string {
  return `\n/** ${schema.doc} */\nexport interface ${schema.name} {\n${schema.fields.map(renderField).join('')}}\n`
}

function renderField({ name, doc, type }: FieldSchema): string {
  return `  /** ${doc} */\n  ${name}: ${renderType(type)}\n`
}

function renderType(type: unknown): string {
  if (Array.isArray(type)) {
    // null reads best at the end: `number | null`
    const branches = type.map(renderType)
    return [...branches.filter((branch) => branch !== 'null'), ...branches.filter((b) => b === 'null')].join(' | ')
  }
  if (typeof type === 'string' && PRIMITIVES[type] !== undefined) return PRIMITIVES[type]
  if (typeof type === 'object' && type !== null && 'type' in type) {
    if ('oneOf' in type) return (type.oneOf as string[]).map((value) => `'${value}'`).join(' | ')
    if (type.type === 'array' && 'items' in type) return `${renderType(type.items)}[]`
    return renderType(type.type)
  }
  throw new Error(`no TypeScript for the Avro type ${JSON.stringify(type)}: add it to render-types.ts`)
}
