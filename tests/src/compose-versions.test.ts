import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')

test('the images carry the version of package.json', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  const ours = [...read('docker-compose.yaml').matchAll(/image: candlewick\/[\w-]+:(\S+)/g)].map(([, tag]) => tag)
  expect(ours.length).toBeGreaterThan(4)
  expect(new Set(ours)).toEqual(new Set([version]))
  expect(read('Dockerfile')).toContain(`ARG VERSION=${version}\n`)
})

test('images of others are pinned to a version', () => {
  const images = [...read('docker-compose.yaml').matchAll(/image: (\S+)/g)].map(([, image]) => image!)
  for (const image of images) expect(image).toMatch(/:v?\d+(\.\d+)+$/)
})
