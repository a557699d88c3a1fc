import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { ScriptedFeed } from './testing/scripted-feed.js'
import { TestTopics } from './testing/topic.js'

/** Runs what `tsc -b` built. */
const MAIN = new URL('../dist/main.js', import.meta.url).pathname
const KEY = 'c0ffee-secret-key'

let topics: TestTopics
let feed: ScriptedFeed
/** A test that fails leaves none of them behind. */
const children: ChildProcess[] = []
beforeEach(async () => {
  topics = new TestTopics(inject('kafkaBrokers'))
  feed = new ScriptedFeed()
  await topics.create(1)
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await feed.close()
  await topics.close()
})

async function run(env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN], {
    env: {
      ...{ KAFKA_BROKERS: inject('kafkaBrokers'), TOPIC_PREFIX: topics.prefix, PRODUCER_PORT: '0' },
      ...{ FINNHUB_URL: await feed.start(), FINNHUB_API_KEY: KEY, SYMBOLS: 'AAPL' },
      ...env,
    },
  })
  children.push(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (bytes) => (output.stdout += String(bytes)))
  child.stderr.on('data', (bytes) => (output.stderr += String(bytes)))
  const exited = once(child, 'exit') as Promise<[number | null]>
  return { child, output, exited }
}

describe('the producer’s process', () => {
  it('ends with code 1 and one line that says so when its key is refused, and does not show the key', async () => {
    feed.answer = { status: 401 }
    const { output, exited } = await run()
    expect(await exited).toEqual([1, null])
    expect(output.stderr).toMatch(
      /^producer: ws:\/\/127\.0\.0\.1:\d+\/ refused the key \(HTTP 401\): FINNHUB_API_KEY is wrong\n$/,
    )
    expect(output.stdout + output.stderr).not.toContain(KEY)
  })

  it('ends with code 0 on SIGTERM, with what it has read on Kafka', async () => {
    const { child, output, exited } = await run()
    await vi.waitFor(() => expect(feed.received[0]?.length).toBe(1), { timeout: 30_000 })
    feed.send({ type: 'trade', data: [{ s: 'AAPL', p: 1, t: 1_700_000_000_000, v: 1 }] })
    feed.send('garbage')
    await vi.waitFor(
      async () => {
        const url = /Server listening at (http:[^"]+)/.exec(output.stdout)?.[1]
        const metrics = await (await fetch(`${url}/metrics`)).text()
        expect(metrics).toMatch(/^candlewick_producer_rejected_total\{reason="not-json"\} 1$/m)
      },
      { timeout: 30_000 },
    )
    child.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
    expect((await topics.trades()).map(({ trade }) => trade.price)).toEqual([1])
    expect((await topics.deadLetters()).map(({ value }) => value.toString())).toEqual(['garbage'])
    expect(output.stdout + output.stderr).not.toContain(KEY)
  })
})
