import { describe, expect, inject, it } from 'vitest'
import { until } from './kafka/testing/test-cluster.js'
import { CountingGroup, type CountingProcess } from './testing/counting-group.js'

const PARTITIONS = 6

const withGroup = (work: (group: CountingGroup) => Promise<void>): Promise<void> =>
  CountingGroup.during(inject('kafkaBrokers'), { partitions: PARTITIONS }, work)

const allShare = (apps: readonly CountingProcess[]) => () =>
  apps.every((app) => app.isRunning && app.assigned?.warmup.length === 0) &&
  apps.reduce((sum, app) => sum + app.assigned!.tasks.length, 0) === PARTITIONS

/** Errors and dropped state: what a change of the group must never bring about. */
const complaints = ({ processes }: { readonly processes: readonly CountingProcess[] }) =>
  processes.flatMap(({ lines }) => lines).filter(({ level, message }) => level === 'error' || /not used/.test(message))

describe.concurrent('under load, nothing is lost or counted twice', () => {
  it('when a process without state joins: it warms up while the other goes on, and takes over with nothing to restore', async () => {
    await withGroup(async (group) => {
      const options = { acceptableLag: 300 }
      const first = group.start('a', options)
      await first.running()
      group.load()
      await until(async () => (await group.changes()) > PARTITIONS * 500, 'there is state', 60_000)
      const second = group.start('b', options)
      await until(() => second.lines.some(({ warmup = [] }) => warmup.length > 0), 'the second one warms up')
      expect(second.lines.find(({ warmup = [] }) => warmup.length > 0)?.tasks).toEqual([])
      await until(allShare([first, second]), 'they share the tasks', 60_000)
      expect(second.assigned?.tasks).toHaveLength(PARTITIONS / 2)
      await group.exact()
      expect(second.replayed, 'no more than what the last commits before the move changed').toBeLessThanOrEqual(
        group.keys,
      )
      expect(complaints(group)).toEqual([])
    })
  })

  it('when one becomes three and three become one', async () => {
    await withGroup(async (group) => {
      const a = group.start('a')
      await a.running()
      group.load()
      const others = [group.start('b'), group.start('c')]
      await until(allShare([a, ...others]), 'three share the tasks')
      for (const app of [a, others[0]!]) await app.end('SIGTERM')
      await until(
        () => others[1]!.isRunning && others[1]!.assigned!.tasks.length === PARTITIONS,
        'the last has all tasks',
      )
      await group.exact()
      expect(complaints(group)).toEqual([])
    })
  })

  it('when three are restarted one after the other, and each goes on with its own state', async () => {
    await withGroup(async (group) => {
      const names = ['a', 'b', 'c']
      let apps = names.map((name) => group.start(name))
      await until(allShare(apps), 'three share the tasks')
      group.load()
      for (const name of names) {
        await apps.find(({ instance }) => instance === name)!.end('SIGTERM')
        apps = apps.map((app) => (app.instance === name ? group.start(name) : app))
        await until(allShare(apps), `three share the tasks again`)
      }
      await group.exact()
      const changes = [...(await group.outputs()).values()].reduce((sum, { length }) => sum + length, 0)
      for (const app of apps) expect(app.replayed, 'what changed while it was away').toBeLessThan(changes / 4)
      expect(complaints(group)).toEqual([])
    })
  })

  it('when processes come and go ten times within a minute, some in order and some not', async () => {
    await withGroup(async (group) => {
      const steady = [group.start('a'), group.start('b')]
      await until(allShare(steady), 'two share the tasks')
      group.load()
      for (let turn = 0; turn < 5; turn++) {
        const guest = group.start(`guest-${turn % 2}`)
        await until(() => guest.lines.some(({ message }) => message === 'tasks assigned'), 'the guest has joined')
        await guest.end(turn % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
      }
      await until(allShare(steady), 'two share the tasks again', 60_000)
      await group.exact()
      // The state of a guest may be half made when it is killed: then it is made anew.
      expect(complaints({ processes: steady })).toEqual([])
    })
  })
})
