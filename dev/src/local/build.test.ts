import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { isInstalled, isPageBuilt } from '../../setup/build.mjs'
import { temporaryDir } from '../testing/temporary.js'

function write(dir: string, path: string, content: unknown, atS?: number): void {
  const file = join(dir, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(content))
  if (atS !== undefined) utimesSync(file, atS, atS)
}

test('packages are installed when each version is the one of package-lock.json', () => {
  const dir = temporaryDir()
  const wanted = {
    '': {},
    streams: { version: '0.1.0' },
    'node_modules/@candlewick/streams': { link: true },
    'node_modules/ws': { version: '8.2.0' },
    'node_modules/lightning-darwin': { version: '1.0.0', optional: true },
  }
  write(dir, 'package-lock.json', { packages: wanted })
  expect(isInstalled(dir)).toBe(false)
  const record = { 'node_modules/@candlewick/streams': { link: true }, 'node_modules/ws': { version: '8.2.0' } }
  write(dir, 'node_modules/.package-lock.json', { packages: record })
  expect(isInstalled(dir)).toBe(true)
  write(dir, 'node_modules/.package-lock.json', { packages: { ...record, 'node_modules/ws': { version: '8.1.0' } } })
  expect(isInstalled(dir)).toBe(false)
  write(dir, 'node_modules/.package-lock.json', { packages: { 'node_modules/ws': { version: '8.2.0' } } })
  expect(isInstalled(dir)).toBe(false)
})

test('the page is built when nothing of its sources is newer', () => {
  const dir = temporaryDir()
  expect(isPageBuilt(dir)).toBe(true) // no page, nothing to build
  write(dir, 'package-lock.json', {}, 1_000)
  write(dir, 'query-api/web/vite.config.ts', '', 1_000)
  write(dir, 'query-api/web/src/main.ts', '', 1_000)
  expect(isPageBuilt(dir)).toBe(false)
  const soonS = Date.now() / 1_000 + 60
  write(dir, 'query-api/web/dist/index.html', '', soonS)
  expect(isPageBuilt(dir)).toBe(true)
  write(dir, 'query-api/web/src/main.ts', '', soonS + 1)
  expect(isPageBuilt(dir)).toBe(false)
})
