#!/usr/bin/env node
// Writes the table of values in helm/candlewick/README.md from helm/candlewick/values.yaml: a row for every value with a
// comment that begins with "# --". With --check it only says whether the table is true.
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import prettier from 'prettier'
import { isMap, parseDocument } from 'yaml'

const chart = (path) => fileURLToPath(new URL(`candlewick/${path}`, import.meta.url))
const BEGIN = '<!-- values: written by helm/generate-readme.mjs -->'
const END = '<!-- end of values -->'

/** `# -- text`, which may go on over several lines; other comments are for readers of values.yaml alone. */
function description(comment = '') {
  const at = comment.split('\n').findIndex((line) => line.startsWith(' -- '))
  if (at < 0) return undefined
  return comment
    .split('\n')
    .slice(at)
    .map((line) => line.replace(/^ (-- )?/, ''))
    .join(' ')
}

/** One value per entry: `a.b.c`, its default as JSON, what it means. */
function* values(map, path, commentOfFirst) {
  for (const [index, { key, value }] of map.items.entries()) {
    const name = [...path, key.value].join('.')
    // The comment before the first key of a map belongs to the map.
    const text = description(key.commentBefore ?? (index === 0 ? commentOfFirst : undefined))
    if (text !== undefined) yield { name, fallback: JSON.stringify(value.toJSON()), text }
    else if (isMap(value)) yield* values(value, [...path, key.value], value.commentBefore)
    else throw new Error(`values.yaml: ${name} has no description ("# -- ...")`)
  }
}

const document = parseDocument(await readFile(chart('values.yaml'), 'utf8'))
const rows = [...values(document.contents, [], document.commentBefore ?? document.contents.commentBefore)].map(
  ({ name, fallback, text }) => `| \`${name}\` | \`${fallback}\` | ${text.replaceAll('|', '\\|')} |`,
)
const before = await readFile(chart('README.md'), 'utf8')
const [head, rest] = before.split(BEGIN)
const tail = rest?.split(END)[1]
if (tail === undefined) throw new Error(`README.md must contain ${BEGIN} and ${END}`)
const table = ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n')
const options = await prettier.resolveConfig(chart('README.md'))
const after = await prettier.format(`${head}${BEGIN}\n\n${table}\n\n${END}${tail}`, { ...options, parser: 'markdown' })

if (process.argv.includes('--check')) {
  if (after !== before) {
    console.error('helm/candlewick/README.md is not what values.yaml says: run node helm/generate-readme.mjs')
    process.exitCode = 1
  }
} else {
  await writeFile(chart('README.md'), after)
}
