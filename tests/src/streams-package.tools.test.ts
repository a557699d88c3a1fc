import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT, runTool } from './tools.js'

const { dependencies, bin } = JSON.parse(readFileSync(join(ROOT, 'streams/package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  bin: { streams: string }
}
let project: string
let files: string[]

/** A project that has nothing but the packed library and what it depends on. */
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'candlewick-package-'))
  const [packed] = JSON.parse(runTool('npm', ['pack', '-w', 'streams', '--json', '--pack-destination', project])) as {
    filename: string
    files: { path: string }[]
  }[]
  files = packed!.files.map(({ path }) => path)
  const library = join(project, 'node_modules/@candlewick/streams')
  mkdirSync(library, { recursive: true })
  const tarball = join(project, packed!.filename.replace('@candlewick/', 'candlewick-'))
  execFileSync('tar', ['-xzf', tarball, '-C', library, '--strip-components=1'])
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    const at = join(project, 'node_modules', name)
    mkdirSync(dirname(at), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), at)
  }
  writeFileSync(join(project, 'package.json'), '{ "type": "module", "private": true }')
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

function run(program: string): string {
  return execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: project, encoding: 'utf8' })
}

const readme = readFileSync(join(ROOT, 'streams/README.md'), 'utf8')

/** The programs that its README gives as a whole: word count, and one that asks it. */
function wholePrograms(): string[] {
  const blocks = [...readme.matchAll(/^```ts\n(import [^`]*?^await [^`]*?)^```$/gms)].map(([, block]) => block!)
  const programs = blocks.filter((block) => /new StreamsBuilder|QueryClient/.test(block))
  expect(programs).toHaveLength(2)
  return programs
}

/** Every import of @candlewick/streams in the table of its README. */
function publicImports(): string[] {
  const rows = [...readme.matchAll(/^\| `(@candlewick\/streams[\w/-]*(?:\/\.\.\.)?)` *\| (.*) \|$/gm)]
  const imports = rows.flatMap(([, name, text]) => {
    if (!name!.endsWith('/...')) return [name!]
    return [...text!.matchAll(/`([\w/-]+)`/g)].map(([, part]) => name!.replace('...', part!))
  })
  expect(imports.length).toBeGreaterThan(10)
  return imports
}

describe('the packed library', () => {
  it('has its README, its licence and its types, and no tests, sources or maps', () => {
    expect(files).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts']))
    const others = files.filter((file) => !/^(package\.json|README\.md|LICENSE|dist\/.*\.(js|d\.ts))$/.test(file))
    expect(others).toEqual([])
    // The suite is for engines that others write.
    const forTests = files.filter((file) => /\.test\.|\.suite\.|\/testing\//.test(file))
    const wanted = ['dist/state/engine.suite', 'dist/testing/topology-test-driver']
    expect(forTests.toSorted()).toEqual(wanted.flatMap((name) => [`${name}.d.ts`, `${name}.js`]))
  })

  it('can be imported by every name its README gives, and runs a topology', () => {
    run(
      publicImports()
        .map((name) => `import '${name}'`)
        .join('\n'),
    )
    const counted = run(`
      import { json, keyValueStore, StreamsBuilder, utf8 } from '@candlewick/streams'
      import { TopologyTestDriver } from '@candlewick/streams/testing/topology-test-driver'
      const counts = keyValueStore('counts', { key: utf8, value: json(Number) })
      const builder = new StreamsBuilder()
      builder.stream('words', { key: utf8, value: utf8 }).groupByKey().count(counts).toStream().to('out', counts)
      const driver = new TopologyTestDriver(builder.build())
      for (const word of ['to', 'be', 'to']) driver.pipe('words', { key: word, value: word })
      await driver.commit()
      console.log(driver.readOutput('out', counts).map(({ key, value }) => key + value).join(' '))`)
    expect(counted).toBe('to2 be1\n')
  })

  it('has types for all of that, for a project with strict settings', () => {
    const imports = publicImports().map((name, at) => `import * as _${at} from '${name}'\nexport { _${at} }`)
    writeFileSync(join(project, 'all.ts'), imports.join('\n'))
    const programs = wholePrograms().map((program, at) => {
      writeFileSync(join(project, `program-${at}.ts`), program)
      return `program-${at}.ts`
    })
    const flags = [
      '--strict',
      '--noEmit',
      '--target',
      'es2023',
      '--module',
      'nodenext',
      '--types',
      'node',
      '--skipLibCheck',
    ]
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    execFileSync(process.execPath, [tsc, ...flags, 'all.ts', ...programs], { cwd: project, stdio: 'pipe' })
  })

  it('has its command line', () => {
    const program = join(project, 'node_modules/@candlewick/streams', bin.streams)
    expect(execFileSync(process.execPath, [program, '--help'], { encoding: 'utf8' })).toContain('streams describe')
  })

  it('has an API reference that is complete: typedoc finds nothing to warn of', { timeout: 180_000 }, () => {
    runTool('npm', ['run', 'docs:api', '--', '--out', join(project, 'api')])
  })
})
