import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ROOT } from './tools.js'

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

/** Folders of all workspaces, as npm has found them by the patterns of package.json. */
function workspaces(): string[] {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { link?: boolean; resolved?: string }>
  }
  return Object.values(packages).flatMap(({ link, resolved }) => (link === true ? [resolved!] : []))
}

it('the images are built with the package.json of every workspace: npm ci passes over those it does not find', () => {
  const copied = [...read('Dockerfile').matchAll(/^COPY (\S+)\/package\.json \1\/$/gm)].map(([, folder]) => folder!)
  expect(copied.length).toBeGreaterThan(10)
  expect(copied.toSorted()).toEqual(workspaces().toSorted())
})

it('the images are built with the sources of every workspace: tsc -b goes through all of them', () => {
  const sent = [...read('.dockerignore').matchAll(/^!(\S+)$/gm)].map(([, path]) => path!)
  const folders = new Set(workspaces().map((folder) => folder.split('/')[0]!))
  expect([...folders].filter((folder) => !sent.includes(folder))).toEqual([])
})
