import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { changelogTopic } from '../changelog/changelog-topics.js'
import { KafkaAdmin } from '../kafka/admin.js'
import { KafkaClient } from '../kafka/client.js'
import { GroupAdmin } from '../kafka/group-admin.js'
import { IdempotentProducer } from '../kafka/idempotent-producer.js'
import { visitRecords } from '../kafka/records/decode.js'
import { KeptLog } from '../kafka/testing/test-cluster.js'
import { TopicReader } from '../kafka/topic-reader.js'
import type { ApplicationDescription } from './describe.js'
import { planReset } from './reset-plan.js'
import { executeReset, RESET_STEPS } from './reset.js'
import { LocalState } from './local-state.js'
import { runCli } from './run.js'

const PARTITIONS = 3
const KEYS = 20

let brokers = ''
let run = ''
let directory = ''
let client: KafkaClient
let admin: KafkaAdmin
let groups: GroupAdmin
let producer: IdempotentProducer
const apps: CountingApp[] = []
let sent = 0

/** One process of testing/counting-app.ts, as built. */
class CountingApp {
  readonly lines: { message?: string; state?: string; err?: { code?: string } }[] = []
  readonly #child: ChildProcess

  constructor(readonly instance: string) {
    const env = { APP_RUN: run, APP_BROKERS: brokers, APP_INSTANCE: instance, APP_STATE_DIR: join(directory, instance) }
    const program = new URL('../../dist/testing/counting-app.js', import.meta.url).pathname
    this.#child = spawn(process.execPath, [program], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.lines.push(JSON.parse(line) as never))
    apps.push(this)
  }

  async running(): Promise<void> {
    await vi.waitFor(() => expect(this.lines.findLast(({ state }) => state !== undefined)?.state).toBe('RUNNING'), {
      timeout: 30_000,
      interval: 20,
    })
  }

  /** Resolves with the exit code. */
  async ended(signal?: NodeJS.Signals): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      if (signal !== undefined) this.#child.kill(signal)
      await exited
    }
    return this.#child.exitCode
  }
}

beforeEach(async () => {
  brokers = inject('kafkaBrokers')
  run = `cli-${randomUUID().slice(0, 8)}`
  directory = await mkdtemp(join(tmpdir(), 'candlewick-cli-'))
  client = new KafkaClient({ brokers: [brokers], clientId: run }, new KeptLog())
  admin = new KafkaAdmin(client)
  groups = new GroupAdmin(client)
  await client.connect()
  await admin.createTopics(['in', 'out'].map((name) => ({ name: `${run}-${name}`, partitions: PARTITIONS })))
  await client.watchTopics([`${run}-in`])
  producer = new IdempotentProducer(client, { maxBufferedBytes: 8 << 20 })
  await producer.start()
  sent = 0
})

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.ended('SIGKILL')))
  await producer.close()
  await admin.deleteTopics(['in', 'out', 'sums-changelog'].map((name) => `${run}-${name}`))
  await client.close()
  await rm(directory, { recursive: true, force: true })
})

async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const told = { out: '', err: '' }
  const code = await runCli([...args, '--brokers', brokers], {
    out: (line) => (told.out += `${line}\n`),
    err: (line) => (told.err += `${line}\n`),
  })
  return { code, ...told }
}

const reset = (...more: string[]) => cli('reset', '--application-id', run, '--state-dir', join(directory, 'a'), ...more)

/** Adds 1 to every key, so many times. */
async function send(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let key = 0; key < KEYS; key++) {
      producer.send(`${run}-in`, null, Buffer.from(`key ${key}`), Buffer.from('1'), Date.now())
    }
  }
  await producer.flush()
  sent += rounds
}

/** Every sum published since an offset of the output, by key. */
async function published(since: ReadonlyMap<number, number>): Promise<Map<string, number[]>> {
  const sums = new Map<string, number[]>()
  const reader = new TopicReader(client, {
    topics: [`${run}-out`],
    startAt: 'earliest',
    isolation: 'read_committed',
    log: client.log,
    onChunk: (chunk) => {
      visitRecords(chunk, 'read_committed', (offset, _ms, bytes, keyStart, keyEnd, start, end) => {
        if (offset < (since.get(chunk.partition) ?? 0)) return
        const key = bytes.toString('utf8', keyStart, keyEnd)
        sums.set(key, [...(sums.get(key) ?? []), Number(bytes.toString('utf8', start, end))])
      })
    },
  })
  await reader.start()
  await reader.caughtUp()
  await reader.close()
  return sums
}

const outputEnd = () =>
  admin.listOffsets(
    `${run}-out`,
    Array.from({ length: PARTITIONS }, (_, n) => n),
    'latest',
    'read_uncommitted',
  )

/** Each key counts up to what was sent, from below, and never further. */
async function countsEverything(since: ReadonlyMap<number, number> = new Map()): Promise<void> {
  const latest = async () => [...(await published(since))].map(([key, sums]) => [key, sums.at(-1)]).sort()
  const expected = Array.from({ length: KEYS }, (_, key) => [`key ${key}`, sent]).sort()
  await vi.waitFor(async () => expect(await latest()).toEqual(expected), { timeout: 30_000, interval: 100 })
  for (const sums of (await published(since)).values()) expect(sums).toEqual([...new Set(sums)].sort((a, b) => a - b))
}

async function startAndCount(): Promise<CountingApp> {
  const app = new CountingApp('a')
  await app.running()
  await countsEverything()
  return app
}

describe('streams reset', () => {
  it('lets the application start over to the same results, however often the reset itself is interrupted', async () => {
    await send(30)
    const first = await startAndCount()
    await first.ended('SIGTERM')
    // Its name fits the changelog better: only what the application has committed tells whose that is.
    await groups.commitOffsets(`${run}-sums`, [{ topic: `${run}-out`, partition: 0, offset: 0, metadata: '' }])
    const changelogIds = async () => (await admin.describeTopics([changelogTopic(run, 'sums')])).map((t) => t.topicId)
    const before = await changelogIds()

    const dry = await reset()
    expect(dry).toMatchObject({ code: 0, err: '' })
    expect(dry.out).toContain(`${run}-sums-changelog`)
    expect(dry.out).toContain(join(directory, 'a', run, 'tasks', '0_0'))
    expect(dry.out).toMatch(new RegExp(`${run}-in +0 +\\d+ +0\n`))
    expect(dry.out).toContain('nothing was changed')
    expect(await changelogIds()).toEqual(before)
    expect(await readdir(join(directory, 'a', run, 'tasks'))).toHaveLength(PARTITIONS)

    for (const [index, crashAfter] of RESET_STEPS.slice(0, -1).entries()) {
      const local = (await LocalState.open(join(directory, 'a'), run))!
      const admins = { admin, groups }
      const command = { applicationId: run, to: { kind: 'earliest' }, stateDirs: [join(directory, 'a')] } as const
      const plan = await planReset(admins, command, [local])
      expect(plan).toMatchObject({ unfinished: index > 0, obstacles: [], stores: ['sums'] })
      expect(plan.offsets.map(({ partition }) => partition)).toEqual([0, 1, 2])
      const crashed = executeReset(admins, plan, (step) => {
        if (step === crashAfter) throw new Error('killed here')
      })
      await expect(crashed).rejects.toThrow('killed here')
      await local.close()
      const early = new CountingApp('a')
      expect(await early.ended()).toBe(70)
      expect(early.lines.find(({ message }) => message === 'the application stopped')?.err).toMatchObject({
        code: 'RESET_UNFINISHED',
      })
      // It ended without leaving the group: its session would last a while.
      const { members } = await admin.describeGroup(run)
      for (const { memberId } of members) await admin.leaveGroup(run, memberId)
    }

    const last = await reset('--execute')
    expect(last).toMatchObject({ code: 0, err: '' })
    expect(last.out).toContain('an earlier reset was interrupted')
    expect(last.out.match(/^\d\/5 /gm)).toHaveLength(5)
    expect(await changelogIds()).toEqual([])
    expect(await readdir(join(directory, 'a', run, 'tasks'))).toEqual([])

    const since = await outputEnd()
    await send(5)
    const second = new CountingApp('a')
    await second.running()
    await countsEverything(since)
    await second.ended('SIGTERM')

    // Offsets that a tool has set name no stores: it cannot be told whose the changelog is.
    const byTool = (await groups.committedOffsets(run)).map((one) => ({ ...one, metadata: '' }))
    await groups.commitOffsets(run, byTool)
    expect(await reset('--execute')).toMatchObject({
      code: 1,
      err: expect.stringMatching(new RegExp(`${run}-sums-changelog \\(or group ${run}-sums has\\)`)),
    })
    await admin.deleteGroup(`${run}-sums`)
  })

  it('begins with what comes later, with state from nothing, or as one that never ran', async () => {
    await send(10)
    await (await startAndCount()).ended('SIGTERM')
    expect((await reset('--to', 'latest', '--execute')).code).toBe(0)
    const since = await outputEnd()
    sent = 0
    await send(3)
    const later = new CountingApp('a')
    await later.running()
    await countsEverything(since)
    await later.ended('SIGTERM')

    expect((await reset('--to', 'none', '--execute')).code).toBe(0)
    expect(await groups.committedOffsets(run)).toEqual([])
    expect(await reset()).toMatchObject({ code: 1, err: expect.stringMatching(/there is nothing to reset/) })
    const again = await outputEnd()
    sent = 13
    const asNew = new CountingApp('a')
    await asNew.running()
    await countsEverything(again)
  })
})

describe('a running application', () => {
  it('is described with its members, tasks, offsets, lag and changelogs, and not reset: who has to stop is named', async () => {
    await send(7)
    const app = await startAndCount()
    const { out, code } = await cli('describe', '--application-id', run, '--json')
    expect(code).toBe(0)
    const description = JSON.parse(out) as ApplicationDescription
    expect(description).toMatchObject({ applicationId: run, state: 'Stable', otherInputs: [], otherInternalTopics: [] })
    expect(description.generation).toBeGreaterThan(0)
    expect(description.members).toMatchObject([{ instance: 'a', endpoint: null, standing: 'member' }])
    expect(description.tasks.map(({ id, active }) => [id, active])).toEqual([
      ['0_0', 'a'],
      ['0_1', 'a'],
      ['0_2', 'a'],
    ])
    const inputs = description.tasks.flatMap((task) => task.inputs)
    expect(inputs.reduce((sum, { committed }) => sum + (committed ?? 0), 0)).toBe(7 * KEYS)
    expect(inputs.map(({ committed, lag }) => [committed ?? 0, lag ?? 0])).toEqual(inputs.map(({ end }) => [end, 0]))
    const changelogs = description.tasks.flatMap((task) => task.changelogs)
    expect(changelogs.map(({ topic, partition }) => [topic, partition])).toEqual(
      [0, 1, 2].map((partition) => [changelogTopic(run, 'sums'), partition]),
    )
    expect(changelogs.some(({ end }) => end! > 0)).toBe(true)

    const offsets = await groups.committedOffsets(run)
    for (const more of [[], ['--execute']]) {
      expect(await reset(...more)).toMatchObject({ code: 1, err: expect.stringMatching(/another process uses/) })
      expect(await cli('reset', '--application-id', run, ...more)).toMatchObject({
        code: 1,
        err: expect.stringMatching(/instance a on host \S+ is in the group: stop it/),
      })
    }
    expect(await groups.committedOffsets(run)).toEqual(offsets)
    expect(await admin.describeTopics([changelogTopic(run, 'sums')])).toHaveLength(1)

    await app.ended('SIGTERM')
    await send(1)
    const stopped = JSON.parse((await cli('describe', '--application-id', run, '--json')).out) as ApplicationDescription
    expect(stopped).toMatchObject({ state: 'Empty', members: [], tasks: [] })
    expect(stopped.otherInputs.reduce((sum, { lag }) => sum + lag!, 0)).toBe(KEYS)
    expect(stopped.otherInternalTopics).toEqual([changelogTopic(run, 'sums')])
    expect((await cli('describe', '--application-id', run)).out).toContain('group Empty (no instance runs)')
  })
})

describe('the command', () => {
  it('says in a sentence what is wrong', async () => {
    expect(await cli('describe', '--application-id', 'nobody')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/there is no application nobody here/),
    })
    const told: string[] = []
    const output = { out: () => undefined, err: (line: string) => void told.push(line) }
    expect(await runCli(['describe', '--application-id', run, '--brokers', '127.0.0.1:1'], output)).toBe(1)
    expect(told).toEqual([expect.stringMatching(/^no Kafka answers at 127\.0\.0\.1:1: check --brokers/)])
    const config = join(directory, 'kafka.json')
    await writeFile(config, JSON.stringify({ brokers: [brokers], connectionTimeoutMs: 2_000 }))
    expect(await runCli(['describe', '--application-id', 'nobody', '--config', config], output)).toBe(1)
    expect(told.at(-1)).toContain('there is no application nobody here')
  })
})
