import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { ROOT } from './tools.js'

const readme = readFileSync(join(ROOT, 'streams/README.md'), 'utf8')

function source(path: string): ts.SourceFile {
  const file = join(ROOT, 'streams/src', path)
  return ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)
}

/** The text under a heading, up to the next one of its level. */
function section(heading: string): string {
  const found = readme.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`streams/README.md has no section '${heading}'`)
  return found
}

/** First and second cell of each row of the tables in a text, without their backquotes. */
function rows(text: string): string[][] {
  const cells = [...text.matchAll(/^\| `(\w+)` *\| ([^|]*?) *\|/gm)]
  return cells.map(([, first, second]) => [first!, second!])
}

/** What an option is when it is left out, as its docstring says it. */
function defaultOf(member: ts.TypeElement): string | undefined {
  if (member.questionToken === undefined) return 'required'
  const comment = ts.getJSDocCommentsAndTags(member).map((doc) => doc.comment)[0]
  return typeof comment === 'string' ? /\bdefault:? (.+?)(?:[.,](?:\s|$))/i.exec(comment)?.[1] : undefined
}

describe('streams/README.md', () => {
  it('teaches word count by the program that is compiled and tested, in 20 lines', () => {
    const [, block] = /```ts\n(.*?)```/s.exec(section('Word count in 20 lines'))!
    expect(block).toBe(readFileSync(join(ROOT, 'streams/examples/word-count/src/word-count.ts'), 'utf8'))
    expect(block!.trimEnd().split('\n').length).toBeLessThanOrEqual(20)
  })

  it('has every option of an application, with its default', () => {
    const interfaces = [source('application.ts'), source('processing/error-handlers.ts')]
      .flatMap((file) => [...file.statements])
      .filter(ts.isInterfaceDeclaration)
      .filter(({ name }) => ['KafkaStreamsOptions', 'ErrorHandlers'].includes(name.text))
    const options = interfaces.flatMap(({ members }) => [...members])
    const listed = new Map(rows(section('Options').split('Errors are')[0]!).map(([name, text]) => [name, text]))
    expect([...listed.keys()].toSorted()).toEqual(options.map((option) => option.name!.getText()).toSorted())
    const withDefault = options.filter((option) => defaultOf(option) !== undefined)
    expect(withDefault.length, 'most options say their default').toBeGreaterThan(18)
    for (const option of options) {
      const wanted = defaultOf(option)
      if (wanted !== undefined) expect(listed.get(option.name!.getText()), option.name!.getText()).toBe(wanted)
    }
  })

  it('has every code of a StreamsError', () => {
    const codes = source('errors.ts').statements.find(
      (statement) => ts.isTypeAliasDeclaration(statement) && statement.name.text === 'StreamsErrorCode',
    ) as ts.TypeAliasDeclaration
    const known = (codes.type as ts.UnionTypeNode).types.map((type) => type.getText().slice(1, -1))
    const listed = rows(section('Options').split('Errors are')[1]!).map(([code]) => code)
    expect(listed.toSorted()).toEqual(known.toSorted())
  })

  it('has every step of the DSL', () => {
    const classes = [...source('topology/builder.ts').statements].filter(ts.isClassDeclaration)
    const steps = classes.flatMap(({ name, members }) =>
      members
        .filter(ts.isMethodDeclaration)
        .map((method) => method.name.getText())
        .filter((method) => !method.startsWith('#'))
        .map((method) => `${name!.text}.${method}`),
    )
    const told = [...section('The DSL').matchAll(/^\| `(\w+)` *\| (.*) \|$/gm)].flatMap(([, on, text]) =>
      [...text!.matchAll(/`(\w+)[`(]/g)].map(([, step]) => `${on}.${step}`),
    )
    for (const step of steps) expect(told).toContain(step)
  })

  it('has a table of rivals whose every source is given, and no source that is not used', () => {
    const comparison = section('Beside Kafka Streams, goka, faust and Quix')
    const given = [...comparison.matchAll(/^\[\^([\w-]+)\]: /gm)].map(([, name]) => name)
    const used = [...comparison.matchAll(/\[\^([\w-]+)\](?!:)/g)].map(([, name]) => name)
    expect([...new Set(used)].toSorted()).toEqual(given.toSorted())
  })

  it('links to headings that are there', () => {
    const slugs = [...readme.matchAll(/^##+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    )
    for (const [, anchor] of readme.matchAll(/\]\(#([^)]+)\)/g)) expect(slugs).toContain(anchor)
  })
})

describe('streams/PROTOCOL.md', () => {
  const lines = readFileSync(join(ROOT, 'streams/PROTOCOL.md'), 'utf8').split('\n')

  it('names tests that there are', () => {
    const cited = lines
      .filter((line) => line.startsWith('- ['))
      .flatMap((line) => {
        const path = /\]\(([^)]+)\)/.exec(line)![1]!
        return [...line.matchAll(/"([^"]+)"/g)].map(([, title]) => [path, title!] as const)
      })
    expect(cited.length).toBeGreaterThan(30)
    const missing = cited.filter(([path, title]) => !readFileSync(join(ROOT, 'streams', path), 'utf8').includes(title))
    expect(missing).toEqual([])
  })
})
