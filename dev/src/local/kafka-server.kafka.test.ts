import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { processStartMs } from '../../setup/lock.mjs'
import { temporaryDir } from '../testing/temporary.js'
import { startKafka } from './kafka-server.js'
import { freePort, isPortFree } from './ports.js'

test('Kafka starts on a free port, ends without a trace, and goes on with its data', async () => {
  const dir = temporaryDir()
  const first = await startKafka({ dir, heapMb: 256 })
  onTestFinished(() => first.stop())
  expect(first.brokers).toBe(`127.0.0.1:${first.port}`)
  expect(await isPortFree(first.port)).toBe(false)
  await first.stop()
  expect(processStartMs(first.pid)).toBeUndefined()
  expect(await isPortFree(first.port)).toBe(true)
  expect(await first.exited).toMatchObject({ signal: null }) // ended in order, not killed

  const formatted = readFileSync(join(dir, 'data', 'meta.properties'), 'utf8')
  const second = await startKafka({ dir, port: await freePort(), heapMb: 256 })
  onTestFinished(() => second.stop())
  expect(readFileSync(join(dir, 'data', 'meta.properties'), 'utf8')).toBe(formatted)
  await second.stop()
})

test('a Kafka that cannot start says why and leaves nothing', async () => {
  let pid = 0
  const onStarted = (child: { pid: number }) => (pid = child.pid)
  const starting = startKafka({ dir: temporaryDir(), heapMb: 1, onStarted })
  await expect(starting).rejects.toThrow(/kafka ended at its start \(exit code 1;.*Too small (maximum|initial) heap/s)
  expect(processStartMs(pid)).toBeUndefined()
})
