import { describe, expect, it, vi } from 'vitest'
import { offsetMetadata } from '../commit/offset-metadata.js'
import type { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import { KeptLog } from '../kafka/testing/test-cluster.js'
import { StreamTask } from '../processing/stream-task.js'
import { utf8 } from '../serde.js'
import { MemoryEngine } from '../state/memory-engine.js'
import { CacheBudget } from '../state/cache-budget.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'
import { UNDECIDED_TOLD_EVERY_MS, type ChangelogReader, type RestoreTarget } from './changelog-reader.js'
import { DELETE_RETENTION_MS } from './changelog-topics.js'
import { validateTasks, type ValidatedTask } from './validate.js'

const CHANGELOG = 'app-sums-changelog'
const CLOCK = '{"streamTimeMs":7}'

interface World {
  /** By partition: what OffsetFetch answers, one after the other; the last answer is repeated. */
  committed?: Record<number, ({ offset: number; metadata?: string } | 'unstable')[]>
  logStart?: number
  highWatermark?: number
  topicId?: string
  /** Stands for the replay. */
  replay?: (targets: readonly RestoreTarget[]) => Promise<void>
}

/** Kafka as validation sees it, with every question it is asked, in order. */
function worldOf({ committed = {}, logStart = 0, highWatermark = 10, topicId = 'topic-1', replay }: World) {
  const asked: string[] = []
  const log = new KeptLog()
  const restored: RestoreTarget[][] = []
  const admin = {
    committedOffsets: async (_group: string, wanted: Map<string, number[]>, options: { requireStable: boolean }) => {
      expect(options).toEqual({ requireStable: true })
      return [...wanted].flatMap(([topic, partitions]) =>
        partitions.map((partition) => {
          const answers = committed[partition] ?? [{ offset: 5 }]
          const answer = answers.length > 1 ? answers.shift()! : answers[0]!
          asked.push(`offsets of ${partition}${answer === 'unstable' ? ' (unstable)' : ''}`)
          const known = answer === 'unstable' ? { offset: -1 } : answer
          return { topic, partition, metadata: '', ...known, unstable: answer === 'unstable' }
        }),
      )
    },
    describeTopics: async (names: string[]) => names.map((name) => ({ name, topicId, partitions: 2 })),
    listOffsets: async (topic: string, partitions: number[], at: string, isolation: string) => {
      asked.push(`${at} ${isolation} of ${topic}-${partitions.join()}`)
      const found = topic === CHANGELOG ? (at === 'latest' ? highWatermark : logStart) : 3
      return new Map(partitions.map((partition) => [partition, found]))
    },
  } as unknown as KafkaAdmin
  const reader = {
    async restore(_state, targets, signal) {
      restored.push([...targets])
      await replay?.(targets)
      return signal.aborted ? undefined : 0
    },
  } as Pick<ChangelogReader, 'restore'> as ChangelogReader
  const context = { client: {} as KafkaClient, admin, applicationId: 'app', groupId: 'app', log, reader }
  return { asked, log, restored, context }
}

async function openTask(partition = 0, { stateful = true, store = 'sums' } = {}): Promise<StreamTask> {
  const builder = new StreamsBuilder()
  const stream = builder.stream('in', { key: utf8, value: utf8 })
  if (stateful) {
    stream.groupByKey().aggregate(
      keyValueStore(store, { key: utf8, value: utf8 }),
      () => '',
      (_, value) => value,
    )
  } else stream.to('out', { key: utf8, value: utf8 })
  const task = new StreamTask({
    subTopology: builder.build().subTopologies[0]!,
    partition,
    directory: '',
    bootId: 'boot',
    makeEngine: () => new MemoryEngine(),
    budget: new CacheBudget(1 << 20),
    output: { append: () => undefined, deadLetter: () => undefined, late: () => undefined } as never,
  })
  await task.open()
  return task
}

/** A task whose state is at this position of the changelog, as of a commit. */
async function taskAt(
  position: number,
  { topicId = 'topic-1', persistedAtMs = Date.now(), input = 5 as number | null } = {},
) {
  const task = await openTask()
  task.state.begin('sums', topicId, 0)
  const now = { wallMs: persistedAtMs, ms: 0 }
  const changes = [{ key: Buffer.from('a'), value: Buffer.from('1') }]
  if (input === null) await task.state.replay({ store: 'sums', changes, position, progress: null }, now)
  else {
    const progress = { inputs: { in: input }, clock: CLOCK }
    await task.state.persist(
      { changes: new Map([['sums', changes]]), positions: new Map([['sums', position]]), progress },
      now,
    )
  }
  return task
}

async function validate(world: ReturnType<typeof worldOf>, tasks: StreamTask[], signal = new AbortController().signal) {
  const started: ValidatedTask[] = []
  await validateTasks(world.context, tasks, signal, async (task) => void started.push(task))
  return started
}

describe('before a task may process', () => {
  it('its offsets are asked for until no transaction holds them back, and only then the end of its changelog', async () => {
    const world = worldOf({ committed: { 0: ['unstable', 'unstable', { offset: 8 }] } })
    const [started] = await validate(world, [await openTask()])
    expect(world.asked).toEqual([
      'offsets of 0 (unstable)',
      'offsets of 0 (unstable)',
      'offsets of 0',
      `latest read_uncommitted of ${CHANGELOG}-0`,
      `earliest read_uncommitted of ${CHANGELOG}-0`,
    ])
    expect(started?.inputs).toEqual(new Map([['in', 8]]))
  })

  it('it says so when its offsets wait for a transaction nobody decides', async () => {
    const clock = vi.spyOn(performance, 'now')
    try {
      let nowMs = 0
      clock.mockImplementation(() => (nowMs += UNDECIDED_TOLD_EVERY_MS))
      const world = worldOf({ committed: { 0: ['unstable', 'unstable', { offset: 8 }] } })
      await validate(world, [await openTask()])
      expect(world.log.lines).toContainEqual(
        expect.objectContaining({ fields: { tasks: ['0_0'], waitsFor: "the group's offsets" } }),
      )
    } finally {
      clock.mockRestore()
    }
  })

  it('its changelog is replayed to the high watermark: transactions that are being committed count', async () => {
    const world = worldOf({ highWatermark: 42 })
    await validate(world, [await openTask()])
    expect(world.restored).toMatchObject([[{ topic: CHANGELOG, partition: 0, endOffset: 42 }]])
  })

  it('its changelog is found whatever its store is called, be it like what every object has', async () => {
    const task = await openTask(0, { store: 'constructor' })
    const [started] = await validate(worldOf({}), [task])
    expect(started?.task.state.changelog('constructor')).toMatchObject({ topicId: 'topic-1', position: 3 })
  })

  it('it waits neither for another task whose offsets are held back nor for one that takes long to restore', async () => {
    let release = () => undefined as void
    const held = new Promise<void>((resolve) => (release = resolve))
    const world = worldOf({
      committed: { 0: ['unstable', { offset: 1 }], 1: [{ offset: 2 }] },
      replay: ([target]) => (target!.partition === 0 ? held : Promise.resolve()),
    })
    const order: number[] = []
    const all = validateTasks(
      world.context,
      [await openTask(0), await openTask(1)],
      new AbortController().signal,
      async ({ task }) => {
        order.push(task.partition)
        if (task.partition === 1) release()
      },
    )
    await all
    expect(order).toEqual([1, 0])
  })

  it('nothing is started any more once it was called off', async () => {
    const abort = new AbortController()
    const world = worldOf({ replay: async () => abort.abort() })
    expect(await validate(world, [await openTask()], abort.signal)).toEqual([])
  })

  it('a failure of one task calls the others off and is told', async () => {
    const world = worldOf({
      replay: ([target]) => (target!.partition === 0 ? Promise.reject(new Error('disk')) : Promise.resolve()),
    })
    await expect(validate(world, [await openTask(0), await openTask(1)])).rejects.toThrow('disk')
  })

  it('no task is started after a later look at the offsets has failed', async () => {
    const world = worldOf({ committed: { 1: ['unstable'] } })
    let calledOff = () => undefined as void
    const held = new Promise<void>((resolve) => (calledOff = resolve))
    world.context.reader.restore = async (_state, _targets, signal) => {
      signal.addEventListener('abort', () => calledOff())
      await held
      return signal.aborted ? undefined : 0
    }
    const { committedOffsets } = world.context.admin
    let looks = 0
    world.context.admin.committedOffsets = (...args) =>
      ++looks > 1 ? Promise.reject(new Error('away')) : committedOffsets.apply(world.context.admin, args)
    const started: ValidatedTask[] = []
    const work = validateTasks(
      world.context,
      [await openTask(0), await openTask(1)],
      new AbortController().signal,
      async (task) => void started.push(task),
    )
    await expect(work).rejects.toThrow('away')
    expect(started).toEqual([])
  })

  it('without state it needs no changelog', async () => {
    const world = worldOf({ committed: { 0: [{ offset: -1 }] } })
    const [started] = await validate(world, [await openTask(0, { stateful: false })])
    expect(started?.inputs).toEqual(new Map([['in', 3]]))
  })
})

describe('local state', () => {
  const dropped = ({ log }: ReturnType<typeof worldOf>) =>
    log.lines.map(({ fields }) => (fields as { reason?: string }).reason)

  it('is used when the changelog still has everything after it', async () => {
    const world = worldOf({ logStart: 2, highWatermark: 10 })
    const task = await taskAt(6)
    await validate(world, [task])
    expect(dropped(world)).toEqual([])
    expect(task.state.changelog('sums')?.position).toBe(6)
  })

  it.each([
    ['belongs to a changelog that was made anew', { topicId: 'topic-2' }, {}, /made anew/],
    ['is ahead of its changelog', { highWatermark: 5 }, {}, /ends before/],
    ['is behind the beginning of its changelog', { logStart: 7 }, {}, /no longer has/],
    ['may have missed deletions', {}, { persistedAtMs: Date.now() - DELETE_RETENTION_MS }, /deletions/],
  ] as const)('is dropped when it %s', async (_, kafka, state, reason) => {
    const world = worldOf(kafka)
    const task = await taskAt(6, state)
    await validate(world, [task])
    expect(dropped(world)[0]).toMatch(reason)
    expect(task.state.changelog('sums')?.position).toBe(kafka && 'logStart' in kafka ? kafka.logStart : 0)
  })

  it('that is old is used all the same when its changelog has nothing after it', async () => {
    const persistedAtMs = Date.now() - DELETE_RETENTION_MS
    const world = worldOf({ highWatermark: 6 })
    await validate(world, [await taskAt(6, { persistedAtMs })])
    expect(dropped(world)).toEqual([])
    const more = worldOf({ highWatermark: 7 })
    await validate(more, [await taskAt(6, { persistedAtMs })])
    expect(dropped(more)).toEqual([expect.stringContaining('so old')])
  })

  it('of a task that ran until a moment ago is not old, however long nothing was written', async () => {
    const world = worldOf({})
    const task = await taskAt(6, { persistedAtMs: Date.now() - DELETE_RETENTION_MS })
    task.currentUntilMs = performance.now()
    await validate(world, [task])
    expect(dropped(world)).toEqual([])
  })
})

describe('a group without an offset', () => {
  const none = { committed: { 0: [{ offset: -1 }] } }

  it('begins at the beginning where there is no state', async () => {
    const world = worldOf(none)
    const [started] = await validate(world, [await openTask()])
    expect(started?.inputs).toEqual(new Map([['in', 3]]))
  })

  it('goes on where the state ends, with its clocks', async () => {
    const world = worldOf(none)
    const [started] = await validate(world, [await taskAt(10, { input: 77 })])
    expect(started).toMatchObject({ inputs: new Map([['in', 77]]), clock: CLOCK })
  })

  it('goes on there also when everything in the state has expired', async () => {
    const task = await taskAt(10, { input: 77 })
    await task.state.persist({
      changes: new Map([['sums', [{ key: Buffer.from('a'), value: undefined }]]]),
      positions: new Map([['sums', 10]]),
      progress: { inputs: { in: 80 }, clock: CLOCK },
    })
    const [started] = await validate(worldOf(none), [task])
    expect(started?.inputs).toEqual(new Map([['in', 80]]))
  })

  it('stops with what to do when nothing tells where the state ends', async () => {
    const world = worldOf(none)
    await expect(validate(world, [await taskAt(10, { input: null })])).rejects.toMatchObject({
      code: 'OFFSETS_LOST',
      message: expect.stringContaining('streams reset'),
    })
  })

  it('does not begin at the beginning when the beginning of the changelog is gone', async () => {
    const world = worldOf({ ...none, logStart: 4 })
    await expect(validate(world, [await openTask()])).rejects.toMatchObject({ code: 'OFFSETS_LOST' })
  })
})

describe('offsets that tell how far the changelogs were', () => {
  const committedAt = (topicId: string, end: number) => ({
    committed: { 0: [{ offset: 5, metadata: offsetMetadata(CLOCK, { sums: { topicId, end } }) }] },
  })

  it('carry the clocks', async () => {
    const world = worldOf(committedAt('topic-1', 10))
    const [started] = await validate(world, [await openTask()])
    expect(JSON.parse(started!.clock)).toMatchObject({ streamTimeMs: 7 })
  })

  it.each([
    ['was made anew', committedAt('topic-0', 10)],
    ['was cut short', committedAt('topic-1', 11)],
  ])('stop the task when the changelog %s', async (_, kafka) => {
    const world = worldOf(kafka)
    await expect(validate(world, [await openTask()])).rejects.toMatchObject({ code: 'CHANGELOG_LOST' })
  })
})
