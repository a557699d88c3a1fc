import { writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { processStartMs } from '../../setup/lock.mjs'
import { freePort } from '../local/ports.js'
import { ROOT } from '../local/paths.js'
import { temporaryDir } from '../testing/temporary.js'
import type { Part } from './plan.js'
import { RunningPart, type PartOptions } from './running-part.js'

const SERVICE = `
  require('node:http').createServer((request, response) => {
    response.statusCode = 200
    response.end(JSON.stringify({ status: 'ok' }))
  }).listen(Number(process.env.PORT), '127.0.0.1')`

async function create(code: string, options: Partial<PartOptions> = {}) {
  const dir = temporaryDir()
  const main = join(dir, 'main.cjs')
  writeFileSync(main, code)
  const port = await freePort()
  const part: Part = {
    ...{ name: 'a-service', kind: 'service', title: 'a service', main: relative(ROOT, main), port },
    ...{ env: { PORT: String(port) }, host: '127.0.0.1', after: [] },
  }
  const lines: string[] = []
  const running = new RunningPart(part, {
    ...{ dir, env: process.env, heapMb: { kafka: 0, cassandra: 0 }, restartAfterMs: 50 },
    ...{ log: (line) => lines.push(line), onChange: () => undefined },
    ...options,
  })
  onTestFinished(() => running.stop({ hurry: true }))
  return { running, lines }
}

test('a service that dies is started again, with a line that says so', async () => {
  const { running, lines } = await create(SERVICE)
  await running.start()
  const { pid } = running
  running.kill('SIGKILL')
  await vi.waitUntil(() => lines.includes('a-service is ready again'), { timeout: 10_000 })
  expect(lines[0]).toMatch(/^a-service died \(SIGKILL\), starts again in 0.05 s/)
  expect(running.pid).not.toBe(pid)
  expect(running.restarts).toBe(1)
  expect((await fetch(running.url!)).status).toBe(200)
})

test('restart() does not wait, whether the service lives or is dead', async () => {
  const { running, lines } = await create(SERVICE, { restartAfterMs: undefined })
  await running.start()
  const pids = [running.pid]
  await running.restart()
  pids.push(running.pid)
  running.kill('SIGKILL')
  await vi.waitUntil(() => running.pid === undefined, { timeout: 10_000 })
  await running.restart()
  pids.push(running.pid)
  expect(new Set(pids).size).toBe(3)
  expect(lines.filter((line) => line.includes('died'))).toHaveLength(1)
})

test('a service that ends at its start because of a setting is told in its own words', async () => {
  const { running } = await create(
    `console.log('{"level":"info"}'); console.error('producer: wrong settings: X'); process.exit(1)`,
  )
  await expect(running.start()).rejects.toThrow(/^producer: wrong settings: X$/)
  expect(running.pid).toBeUndefined()
})

test('a service that breaks at its start is told with its last lines', async () => {
  const { running } = await create(`console.error('something broke'); process.exit(70)`)
  await expect(running.start()).rejects.toThrow(/a-service ended at its start \(exit code 70\).*\nsomething broke/)
})

test('a service that gives up at its start is told with what it logged as fatal', async () => {
  const line = JSON.stringify({ level: 'fatal', err: { message: 'no room' }, msg: 'cannot go on' })
  const { running } = await create(`console.log('${line}'); process.exit(70)`)
  await expect(running.start()).rejects.toThrow(
    /^a-service ended at its start \(exit code 70\): cannot go on: no room; log: /,
  )
})

test('stop() ends it for good, also while it starts and while it rests', async () => {
  const up = await create(SERVICE)
  await up.running.start()
  const { pid } = up.running
  await up.running.stop()
  expect(processStartMs(pid!)).toBeUndefined()

  const starting = await create('setInterval(() => {}, 1000)')
  const start = starting.running.start()
  await vi.waitUntil(() => starting.running.pid !== undefined)
  const rejected = expect(start).rejects.toThrow('a-service was stopped')
  await starting.running.stop()
  await rejected
  expect(starting.running.pid).toBeUndefined()

  const resting = await create(SERVICE, { restartAfterMs: 3_600_000 })
  await resting.running.start()
  resting.running.kill('SIGKILL')
  await vi.waitUntil(() => resting.lines.length > 0, { timeout: 10_000 })
  await resting.running.stop()
  expect(resting.running.pid).toBeUndefined()
})
