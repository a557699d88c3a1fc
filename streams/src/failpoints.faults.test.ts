import { describe, expect, inject, it } from 'vitest'
import { FAILPOINTS, type Failpoint } from './failpoints.js'
import { until } from './kafka/testing/test-cluster.js'
import { CountingGroup, type CountingProcess } from './testing/counting-group.js'

/** Several commits pass before the one that is hit: so the sequence of the producer and the engine's position are of use. */
const COMMITS_BEFORE = 5

const withGroup = (work: (group: CountingGroup) => Promise<void>): Promise<void> =>
  CountingGroup.during(inject('kafkaBrokers'), {}, work)

/** Brings a process that will kill itself at the failpoint to where it does. */
async function leadThere(group: CountingGroup, victim: CountingProcess, name: Failpoint): Promise<void> {
  if (name.startsWith('close.')) {
    await victim.running()
    victim.signal('SIGTERM')
  }
  if (name === 'rebalance.drained') {
    await victim.running()
    group.start('c')
  }
  await victim.hit()
  await victim.ended()
}

describe.concurrent('kill -9 under load', () => {
  it.each(FAILPOINTS)(
    'at %s: nothing is lost or counted twice, no state is dropped, only the tail is replayed',
    async (name) => {
      await withGroup(async (group) => {
        const before = [group.start('a'), group.start('b')]
        await Promise.all(before.map((app) => app.running()))
        group.load()
        await until(async () => (await group.outputs()).size === group.keys, 'something was committed for each key')
        await Promise.all(before.map((app) => app.end('SIGKILL')))
        // There is nothing to restore but where the state is gone.
        const restores = name === 'task.restoring'
        if (restores) await group.loseState('a')

        const nth = name.startsWith('commit.') && name !== 'commit.persisting' ? COMMITS_BEFORE : 1
        const victim = group.start('a', { failpoint: { name, signal: 'SIGKILL', nth } })
        await leadThere(group, victim, name)
        const changesBefore = await group.changes()
        const again = group.start('a')
        await again.running()
        // Whoever joined meanwhile went on with what the victim had.
        const othersChanged = name === 'rebalance.drained' ? (await group.changes()) - changesBefore : 0
        await group.start('b').running()
        await group.exact()

        // What one commit changed, of the tasks it ran itself and of those it kept warm.
        if (!restores) expect(again.replayed).toBeLessThanOrEqual(2 * group.keys + othersChanged)
        const dropped = group.processes.flatMap(({ lines }) => lines).filter(({ message }) => /not used/.test(message))
        expect(dropped).toEqual([])
      })
    },
  )
})
