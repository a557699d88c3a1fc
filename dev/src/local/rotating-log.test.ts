import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDir } from '../testing/temporary.js'
import { RotatingLog } from './rotating-log.js'

test('a log never takes more than (keep + 1) files of maxBytes, and the newest lines are kept', () => {
  const dir = temporaryDir()
  const log = new RotatingLog(join(dir, 'x.log'), { maxBytes: 100, keep: 2 })
  for (let n = 0; n < 200; n++) log.write(Buffer.from(`line ${n}\n`))
  log.close()
  expect(readdirSync(dir).sort()).toEqual(['x.log', 'x.log.1', 'x.log.2'])
  for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(100)
  const kept = ['x.log.2', 'x.log.1', 'x.log'].map((name) => readFileSync(join(dir, name), 'utf8')).join('')
  expect(kept.endsWith('line 198\nline 199\n')).toBe(true)
  expect(kept).toMatch(/^line \d+\n/)
})

test('a chunk larger than a file is divided', () => {
  const dir = temporaryDir()
  const log = new RotatingLog(join(dir, 'x.log'), { maxBytes: 10, keep: 1 })
  log.write(Buffer.from('0123456789abcdefghijXYZ'))
  log.close()
  expect(readFileSync(join(dir, 'x.log.1'), 'utf8')).toBe('abcdefghij')
  expect(readFileSync(join(dir, 'x.log'), 'utf8')).toBe('XYZ')
})

test('a log goes on with the file of an earlier start, its size included', () => {
  const dir = temporaryDir()
  const path = join(dir, 'x.log')
  const first = new RotatingLog(path, { maxBytes: 20, keep: 1 })
  first.write(Buffer.from('from the first\n'))
  first.close()
  const second = new RotatingLog(path, { maxBytes: 20, keep: 1 })
  second.write(Buffer.from('from the second\n'))
  second.close()
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('from the first\n')
  expect(second.lastLines(5)).toEqual(['from the second'])
})
