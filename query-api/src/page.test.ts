import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildTestApp, type TestApp } from './testing/fixture.js'

let directory: string
let subject: TestApp

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'query-api-page-'))
  await mkdir(join(directory, 'dist', 'assets'), { recursive: true })
  await writeFile(join(directory, 'dist', 'index.html'), '<!doctype html><title>page</title>')
  await writeFile(join(directory, 'dist', 'assets', 'index-abc.js'), 'export {}')
  await writeFile(join(directory, 'secret.txt'), 'secret')
  subject = await buildTestApp({ pageDirectory: join(directory, 'dist') })
})
afterAll(async () => {
  await subject.app.close()
  await rm(directory, { recursive: true })
})

test('the page is asked for again each time, its assets never', async () => {
  const page = await subject.app.inject('/')
  expect(page.body).toContain('<title>page</title>')
  expect(page.headers['cache-control']).toBe('no-cache')
  expect(page.headers['content-security-policy']).toContain("script-src 'self'; style-src 'self';")
  const asset = await subject.app.inject('/assets/index-abc.js')
  expect(asset.headers['content-type']).toContain('javascript')
  expect(asset.headers['cache-control']).toContain('immutable')
})

test('the icon that browsers ask for unasked is that of the page', async () => {
  const icon = await subject.app.inject('/favicon.ico')
  expect(icon.statusCode).toBe(302)
  expect(icon.headers.location).toBe('favicon.svg')
})

test.each([
  '/../secret.txt',
  '/%2e%2e/secret.txt',
  '/assets/..%2f..%2fsecret.txt',
  '/..\\secret.txt',
  '/assets/nothing.js',
])('nothing but the page is served: %s is 404', async (path) => {
  const answer = await subject.app.inject(path)
  expect(answer.statusCode).toBe(404)
  expect(answer.headers['content-type']).toBe('application/problem+json')
})
