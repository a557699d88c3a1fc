import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { until } from './kafka/testing/test-cluster.js'
import { CountingGroup } from './testing/counting-group.js'

let group: CountingGroup
beforeEach(async () => {
  group = await CountingGroup.create(inject('kafkaBrokers'), { partitions: 2, keys: 10 })
})
afterEach(() => group.close())

const guarantee = 'at-least-once'

/** The newest sum of each key. */
async function sums(): Promise<Map<string, number>> {
  return new Map([...(await group.outputs())].map(([key, published]) => [key, published.at(-1)!]))
}

describe('at least once', () => {
  it('nothing is counted twice while nothing fails: through a clean restart and a second instance', async () => {
    const first = group.start('a', { guarantee })
    await first.running()
    await group.send(100)
    await until(async () => [...(await sums()).values()].every((sum) => sum === group.sent), 'all is counted')
    await first.end('SIGTERM')
    group.start('a', { guarantee })
    group.start('b', { guarantee })
    await group.send(100)
    await group.exact()
  })

  it('kill -9 after the records and before the offsets: what was on the way is counted again, all of it, and nothing is lost', async () => {
    await group.send(100)
    const victim = group.start('a', { guarantee, failpoint: { name: 'commit.produced', signal: 'SIGKILL' } })
    await victim.ended()
    const twice = await sums()
    expect(twice.size).toBeGreaterThan(0)
    await group.start('a', { guarantee }).running()
    await until(async () => {
      const now = await sums()
      return now.size === group.keys && [...now].every(([key, sum]) => sum >= group.sent + (twice.get(key) ?? 0))
    }, 'all is counted')
    for (const [key, sum] of await sums()) expect(sum, key).toBe(group.sent + (twice.get(key) ?? 0))
  })

  it('kill -9 after the offsets: nothing is counted again, the tail of the changelog is replayed', async () => {
    await group.send(100)
    const victim = group.start('a', { guarantee, failpoint: { name: 'commit.offsets-sent', signal: 'SIGKILL' } })
    await victim.ended()
    const again = group.start('a', { guarantee })
    await again.running()
    await group.send(100)
    await group.exact()
    expect(again.replayed).toBeGreaterThan(0)
    expect(again.replayed).toBeLessThanOrEqual(group.keys)
  })

  it('takes over from exactly once, whatever that has left open', async () => {
    await group.send(100)
    const victim = group.start('a', { failpoint: { name: 'commit.offsets-sent', signal: 'SIGKILL' } })
    await victim.ended()
    const startedAtMs = performance.now()
    await group.start('a', { guarantee }).running()
    expect(performance.now() - startedAtMs, 'the open transaction was ended, not waited for').toBeLessThan(8_000)
    await group.exact()
  })
})
