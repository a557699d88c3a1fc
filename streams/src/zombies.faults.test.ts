import { describe, expect, inject, it } from 'vitest'
import type { Failpoint } from './failpoints.js'
import { until } from './kafka/testing/test-cluster.js'
import { CountingGroup, type AppOptions } from './testing/counting-group.js'

const PARTITIONS = 6

const withGroup = (work: (group: CountingGroup) => Promise<void>): Promise<void> =>
  CountingGroup.during(inject('kafkaBrokers'), { partitions: PARTITIONS }, work)

/** Before anything was sent, before the offsets, and before the commit. */
const PLACES: readonly Failpoint[] = ['commit.frozen', 'commit.produced', 'commit.offsets-sent']

interface Scenario {
  /** Whether its partitions get records when it wakes up. */
  busy: boolean
  /** Nobody who is left knows of it, so nobody can fence its transactional id. */
  forgotten: boolean
  options?: AppOptions
}

/**
 * A process that is frozen in the middle of a commit until the group has gone on without it for long, and wakes up.
 * @throws when a key does not come to its exact sum
 */
async function wakesUp(name: Failpoint, { busy, forgotten, options }: Scenario): Promise<void> {
  await withGroup(async (group) => {
    const zombie = group.start('a', { ...options, failpoint: { name, signal: 'SIGSTOP', nth: 5 } })
    const witness = group.start('b')
    await Promise.all([zombie.running(), witness.running()])
    group.load()
    await zombie.hit()
    const heir = forgotten ? group.start('c') : witness
    if (forgotten) await witness.end('SIGKILL')
    await until(() => heir.isRunning && heir.assigned?.tasks.length === PARTITIONS, 'another has all tasks', 60_000)
    // What the zombie has under way was processed by another meanwhile: let through, it would be seen.
    await group.exact()
    if (busy) group.load()
    const { assignments } = zombie
    zombie.signal('SIGCONT')
    await until(() => zombie.assignments > assignments, 'it is back')
    await group.send(20)
    await group.exact()
    expect(zombie.lines.filter(({ level }) => level === 'error')).toEqual([])
  })
}

describe.concurrent('a process frozen past its session', () => {
  for (const busy of [true, false]) {
    const partitions = busy ? 'busy partitions' : 'idle partitions'
    it.each(PLACES)(`at %s, on ${partitions}, writes nothing when it wakes up`, async (name) => {
      await wakesUp(name, { busy, forgotten: false })
    })
    it.each(PLACES)(`at %s, on ${partitions}, known to nobody, writes nothing when it wakes up`, async (name) => {
      await wakesUp(name, { busy, forgotten: true })
    })
  }

  it('would count twice if offsets were committed without the generation, as KafkaJS does', async () => {
    const scenario = { busy: false, forgotten: true, options: { unfenced: true } }
    await expect(wakesUp('commit.frozen', scenario)).rejects.toThrow(/came to|exact/)
  })
})

describe.concurrent('a transaction that a killed process left open', () => {
  it.each(['commit.produced', 'commit.offsets-sent'] as const)(
    'at %s is ended by the survivor before it takes the tasks, not by the broker in its own time',
    async (name) => {
      await withGroup(async (group) => {
        const victim = group.start('a', { failpoint: { name, signal: 'SIGKILL', nth: 5 } })
        const survivor = group.start('b')
        await Promise.all([victim.running(), survivor.running()])
        group.load()
        await victim.ended()
        await until(() => survivor.assigned?.tasks.length === PARTITIONS, 'the survivor has all tasks')
        const told = survivor.lines.map(({ message }) => message)
        const fenced = told.indexOf('ended what was left of an instance that is gone')
        expect(fenced).toBeGreaterThan(0)
        expect(fenced).toBeLessThan(told.lastIndexOf('tasks assigned'))
        await group.exact()
      })
    },
  )
})
