import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { until } from './kafka/testing/test-cluster.js'
import { CountingGroup } from './testing/counting-group.js'

const PARTITIONS = 6
let group: CountingGroup
beforeEach(async () => {
  group = await CountingGroup.create(inject('kafkaBrokers'), { partitions: PARTITIONS })
})
afterEach(() => group.close())

describe('after kill -9', () => {
  it('nothing is lost or counted twice, again and again, and only the tail is replayed', async () => {
    let victim = group.start('a')
    await group.start('b').running()
    await victim.running()
    await group.send(1_000)
    for (let kill = 0; kill < 4; kill++) {
      await group.send(200)
      await victim.end('SIGKILL')
      await group.send(200)
      victim = group.start('a')
      await victim.running()
    }
    await group.exact()
    // What the crashed instance had was complete up to its last commit: never more than what one commit can hold.
    for (const app of group.processes.slice(2)) expect(app.replayed).toBeLessThan(5_000)
  })

  it('processes again within seconds when it is restarted in place', async () => {
    const first = group.start('a')
    await first.running()
    await group.send(500)
    await group.exact()
    await first.end('SIGKILL')
    const again = group.start('a')
    await again.running()
    expect(again.replayed).toBeLessThanOrEqual(group.keys)
    await group.send(10)
    await group.exact()
  })

  it('its partitions are taken over by the other instance, which kept their state warm', async () => {
    const first = group.start('a')
    const other = group.start('b')
    await other.running()
    await first.running()
    await group.send(300)
    await group.exact()
    await first.end('SIGKILL')
    await group.send(300)
    await group.exact()
    expect(other.assigned?.tasks).toHaveLength(PARTITIONS)
    expect(other.replayed, 'no more than what the last commits of the dead one changed').toBeLessThanOrEqual(group.keys)
  })
})

describe('a frozen instance that wakes up after it was expelled', () => {
  it('commits nothing of what it had under way, and joins again', async () => {
    const frozen = group.start('a')
    const other = group.start('b')
    await Promise.all([frozen.running(), other.running()])
    await group.send(100)
    const sending = group.send(2_000)
    frozen.signal('SIGSTOP')
    await sending
    await until(() => other.assigned?.tasks.length === PARTITIONS, 'the other has all tasks')
    await group.send(100)
    frozen.signal('SIGCONT')
    await group.send(100)
    await group.exact()
  })
})
