import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { RestoreProgress } from '../changelog/restore-progress.js'
import { KafkaAdmin } from '../kafka/admin.js'
import { TestCluster, until } from '../kafka/testing/test-cluster.js'
import { createMetrics } from '../metrics.js'
import { utf8 } from '../serde.js'
import { CacheBudget } from '../state/cache-budget.js'
import type { EngineSnapshot } from '../state/engine.js'
import { MemoryEngine } from '../state/memory-engine.js'
import type { StateDirectory } from '../state/state-directory.js'
import { TaskManager, type TaskManagerOptions } from './task-manager.js'
import type { TaskOutput } from '../processing/task.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'

/** Keeps in memory, and refuses to write, or finds damage when it reads, while it is told to. */
class FailingEngine extends MemoryEngine {
  static failing = false
  static damaged = false

  override snapshot(): EngineSnapshot {
    const snapshot = super.snapshot()
    const get = (key: Buffer) => {
      if (FailingEngine.damaged) throw Object.assign(new Error('bad block'), { code: 'LEVEL_CORRUPTION' })
      return snapshot.get(key)
    }
    return { ...snapshot, get }
  }

  override write(...args: Parameters<MemoryEngine['write']>): Promise<void> {
    return FailingEngine.failing ? Promise.reject(new Error('write failed')) : super.write(...args)
  }
}

const sums = keyValueStore('sums', { key: utf8, value: utf8 })

const directory = {
  bootId: 'boot',
  storedTasks: async () => [],
  taskDirectory: () => '',
  removeObsolete: async () => [],
} as Partial<StateDirectory> as StateDirectory

let cluster: TestCluster
let changelog = ''
let manager: TaskManager
let admin: KafkaAdmin
let failures: unknown[] = []
/** A manager of the two tasks, whose engines are empty. */
let open: (more?: Pick<TaskManagerOptions, 'commitStart'>) => Promise<TaskManager>

beforeEach(async () => {
  cluster = new TestCluster(inject('kafkaBrokers'))
  FailingEngine.failing = false
  FailingEngine.damaged = false
  failures = []
  const client = cluster.client()
  await client.connect()
  const input = await cluster.topic(2)
  const applicationId = cluster.name('tasks')
  changelog = `${applicationId}-sums-changelog`
  admin = new KafkaAdmin(client)
  await admin.createTopics([{ name: changelog, partitions: 2 }])
  cluster.defer(() => admin.deleteTopics([changelog]))
  await client.watchTopics([input, changelog])
  const builder = new StreamsBuilder()
  builder
    .stream(input, { key: utf8, value: utf8 })
    .groupByKey()
    .aggregate(
      sums,
      () => '',
      (_, value) => value,
    )
  const plan = [0, 1].map((partition) => ({ id: `0_${partition}`, partition, subTopologyId: 0, topics: [input] }))
  const options: TaskManagerOptions = {
    topology: builder.build(),
    applicationId,
    client,
    admin,
    log: cluster.log,
    metrics: createMetrics(),
    restores: new RestoreProgress(),
    directory,
    makeEngine: () => new FailingEngine(),
    acceptableRecoveryLag: 100,
    stateCleanupDelayMs: Number.MAX_SAFE_INTEGER,
    cache: new CacheBudget(1 << 20),
    output: {} as TaskOutput,
    handlers: {},
    onRunning: () => undefined,
    onFailure: (error) => void failures.push(error),
    wake: () => undefined,
  }
  open = async (more) => {
    const made = new TaskManager({ ...options, ...more })
    await made.openStored(plan)
    return made
  }
  manager = await open()
})

afterEach(async () => {
  await manager.close()
  await cluster.close()
})

const taskOf = (id: string) => manager.all.get(id)!

async function standBy(id: string): Promise<void> {
  await manager.assign({ active: [], standby: [id], warmup: [] })
  manager.takeUp()
  await until(() => manager.currentAtMs(taskOf(id)) > 0, 'the standby is current')
}

describe('a standby that could not be kept up', () => {
  it('is as old as it was then, not current for ever, and is taken up again', async () => {
    await standBy('0_0')
    const task = taskOf('0_0')
    FailingEngine.failing = true
    await cluster.sendKeyed(changelog, 0, [['a', '1']])
    await until(() => task.status !== 'STANDBY', 'it is given up')
    expect(manager.currentAtMs(task)).toBeLessThan(performance.now())
    expect(manager.isComplete(task), 'what its engine holds is not known').toBe(false)
    FailingEngine.failing = false
    await until(() => (manager.takeUp(), task.status === 'STANDBY'), 'it is taken up again')
    await until(() => manager.isComplete(task), 'it is current again')
    expect(manager.currentAtMs(task)).toBeLessThan(performance.now())
  })
})

describe('a standby whose state is found damaged by a query', () => {
  it('is given up at once, although nothing changes in it, and built anew', async () => {
    await cluster.sendKeyed(changelog, 0, [['a', '1']])
    await standBy('0_0')
    const task = taskOf('0_0')
    FailingEngine.damaged = true
    expect(() => task.view().keyValue(sums).get('a')).toThrow(/is damaged \(bad block\)/)
    manager.takeUp()
    expect(task.status).not.toBe('STANDBY')
    expect(manager.isComplete(task)).toBe(false)
    FailingEngine.damaged = false
    await until(() => (manager.takeUp(), task.status === 'STANDBY'), 'it is taken up again')
    await until(() => manager.isComplete(task), 'it is current again')
    expect(task.view().keyValue(sums).get('a')).toBe('1')
  })
})

describe('state that was dropped', () => {
  it('answers nothing, and is not told to the leader as complete', async () => {
    await cluster.sendKeyed(changelog, 0, [['a', '1']])
    await standBy('0_0')
    await manager.assign({ active: ['0_0'], standby: [], warmup: [] })
    expect(manager.standing().running).toEqual(['0_0'])
    await taskOf('0_0').rebuild()
    expect(manager.isComplete(taskOf('0_0'))).toBe(false)
    expect(manager.standing().running).toEqual([])
  })
})

describe('a task that the group gives back', () => {
  it('goes on with its live objects as long as it is where it was, and drops them when somebody else has changed it', async () => {
    admin.committedOffsets = async (_group, wanted) =>
      [...wanted].flatMap(([topic, partitions]) =>
        partitions.map((partition) => ({ topic, partition, offset: 0, metadata: '', unstable: false })),
      )
    const role = { active: ['0_0'], standby: [], warmup: [] }
    const takeBack = async () => {
      manager.suspend(performance.now())
      await manager.assign(role)
      manager.takeUp()
      await until(() => manager.allRun, 'it runs')
    }
    await takeBack()
    const started = vi.spyOn(taskOf('0_0'), 'start')
    await takeBack()
    expect(started).not.toHaveBeenCalled()
    await cluster.sendKeyed(changelog, 0, [['a', '1']])
    await takeBack()
    expect(started).toHaveBeenCalledOnce()
  })
})

describe('halt()', () => {
  it('waits for standbys that are being readied although the restore beside them has failed', async () => {
    let release = () => undefined as void
    const held = new Promise<void>((resolve) => (release = resolve))
    const { describeTopics, committedOffsets } = admin
    admin.committedOffsets = () => Promise.reject(new Error('away'))
    admin.describeTopics = async (names) => {
      await held
      return describeTopics.call(admin, names)
    }
    await manager.assign({ active: ['0_0'], standby: ['0_1'], warmup: [] })
    manager.takeUp()
    await until(() => failures.length > 0, 'the restore has failed')
    const halted = manager.halt()
    release()
    await halted
    expect(taskOf('0_1').status).toBe('CREATED')
    Object.assign(admin, { describeTopics, committedOffsets })
    manager.rollBack(0)
    await manager.assign({ active: ['0_0', '0_1'], standby: [], warmup: [] })
    await until(() => (manager.takeUp(), manager.allRun), 'both run')
  })
})

describe('a standby that is being kept up', () => {
  it.each([
    ['lets go of what is over', undefined, true],
    ['waits with that at least once, where its clock may be of a commit that failed', async () => undefined, false],
  ])('%s', async (_, commitStart, expires) => {
    await manager.close()
    manager = await open(commitStart && { commitStart })
    await standBy('0_0')
    const expire = vi.spyOn(taskOf('0_0'), 'expireStandby')
    await cluster.sendKeyed(changelog, 0, [['a', '1']])
    await until(() => taskOf('0_0').state.position === 1, 'it has what came')
    await manager.assign({ active: [], standby: [], warmup: [] })
    expect(expire.mock.calls.length > 0).toBe(expires)
  })
})
