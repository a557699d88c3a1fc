import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Failpoint } from '../failpoints.js'
import { KafkaAdmin } from '../kafka/admin.js'
import { KafkaClient } from '../kafka/client.js'
import type { KafkaLog } from '../kafka/config.js'
import { IdempotentProducer } from '../kafka/idempotent-producer.js'
import { visitRecords } from '../kafka/records/decode.js'
import { until } from '../kafka/testing/test-cluster.js'
import type { ProcessingGuarantee } from '../instance/stream-instance.js'
import { TopicReader } from '../kafka/topic-reader.js'
import type { EngineName } from '../state/engines.js'

const quiet: KafkaLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

export interface Line {
  message: string
  level: string
  state?: string
  records?: number
  tasks?: string[]
  standby?: string[]
  warmup?: string[]
  failpoint?: Failpoint
  url?: string
  reason?: string
}

export interface AppOptions {
  /** Sends itself the signal when it comes by the failpoint for the nth time. */
  failpoint?: { name: Failpoint; signal: 'SIGKILL' | 'SIGSTOP'; nth?: number }
  standbys?: number
  /** See KafkaStreamsOptions.acceptableRecoveryLag. */
  acceptableLag?: number
  guarantee?: ProcessingGuarantee
  /** Commits offsets without the group's generation. */
  unfenced?: boolean
  /** Answers queries, at its `url`. */
  queries?: boolean
  /** Where it keeps its state; default LevelDB. */
  engine?: EngineName
  /** Whose directory of state it has; default its own. */
  disk?: string
}

/** One process of the application (counting-app.ts, as built), and everything it told. */
export class CountingProcess {
  readonly lines: Line[] = []
  readonly #child: ChildProcess

  constructor(
    readonly instance: string,
    env: NodeJS.ProcessEnv,
  ) {
    const program = new URL('../../dist/testing/counting-app.js', import.meta.url).pathname
    this.#child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.lines.push(JSON.parse(line) as Line))
  }

  /** Changelog records it replayed before it processed. */
  get replayed(): number {
    return this.lines.reduce((sum, { message, records }) => (message === 'state is complete' ? sum + records! : sum), 0)
  }

  /** What the leader gave it last. */
  get assigned(): { tasks: string[]; standby: string[]; warmup: string[] } | undefined {
    const {
      tasks = [],
      standby = [],
      warmup = [],
    } = this.lines.findLast((line) => line.message === 'tasks assigned') ?? {}
    return { tasks, standby, warmup }
  }

  /** How many times a leader gave it something. */
  get assignments(): number {
    return this.lines.filter(({ message }) => message === 'tasks assigned').length
  }

  get state(): string | undefined {
    return this.lines.findLast(({ state }) => state !== undefined)?.state
  }

  /** Where its queries are answered. */
  get url(): string | undefined {
    return this.lines.find(({ url }) => url !== undefined)?.url
  }

  get isRunning(): boolean {
    return this.state === 'RUNNING'
  }

  /** Null while it runs, and when a signal ended it. */
  get exitCode(): number | null {
    return this.#child.exitCode
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  running(): Promise<void> {
    return until(() => this.isRunning, `${this.instance} is RUNNING`)
  }

  ended(): Promise<void> {
    return until(() => this.hasEnded, `${this.instance} has ended`)
  }

  /** It has come by its failpoint. */
  hit(): Promise<void> {
    return until(() => this.lines.some((line) => line.failpoint !== undefined), `${this.instance} is at its failpoint`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.hasEnded) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
  }
}

/** The processes of one application that adds up numbers, with topics and directories of its own on a real broker. */
export class CountingGroup {
  /** Rounds sent: what every key's sum must come to. */
  sent = 0
  readonly processes: CountingProcess[] = []
  readonly client: KafkaClient
  readonly #admin: KafkaAdmin
  readonly #producer: IdempotentProducer
  #load: { stop: boolean; done: Promise<void> } | undefined

  private constructor(
    readonly brokers: string,
    readonly run: string,
    private readonly directory: string,
    readonly partitions: number,
    readonly keys: number,
  ) {
    this.client = new KafkaClient({ brokers: [brokers], clientId: run }, quiet)
    this.#admin = new KafkaAdmin(this.client)
    this.#producer = new IdempotentProducer(this.client, { maxBufferedBytes: 64 << 20 })
  }

  static async create(brokers: string, { partitions = 6, keys = 30 } = {}): Promise<CountingGroup> {
    const run = `count-${randomUUID().slice(0, 8)}`
    const directory = await mkdtemp(join(tmpdir(), `candlewick-${run}-`))
    const group = new CountingGroup(brokers, run, directory, partitions, keys)
    await group.client.connect()
    await group.#admin.createTopics(['in', 'out'].map((name) => ({ name: `${run}-${name}`, partitions })))
    await group.client.watchTopics([`${run}-in`])
    await group.#producer.start()
    return group
  }

  /** A group for as long as the work takes. */
  static async during(
    brokers: string,
    size: { partitions?: number; keys?: number },
    work: (group: CountingGroup) => Promise<void>,
  ): Promise<void> {
    const group = await CountingGroup.create(brokers, size)
    try {
      await work(group)
    } finally {
      await group.close()
    }
  }

  start(instance: string, options: AppOptions = {}): CountingProcess {
    const { failpoint, standbys, acceptableLag, unfenced, guarantee, queries, engine = 'leveldb', disk } = options
    const { name, signal, nth = 1 } = failpoint ?? {}
    const app = new CountingProcess(instance, {
      ...process.env,
      APP_RUN: this.run,
      APP_BROKERS: this.brokers,
      APP_INSTANCE: instance,
      APP_STATE_DIR: this.stateDir(disk ?? instance),
      APP_FAILPOINT: name === undefined ? '' : `${name}:${signal!}:${nth}`,
      APP_GUARANTEE: guarantee ?? '',
      APP_UNFENCED: unfenced ? '1' : '',
      APP_QUERIES: queries ? '1' : '',
      APP_ENGINE: engine,
      APP_STANDBYS: standbys === undefined ? '' : String(standbys),
      APP_ACCEPTABLE_LAG: acceptableLag === undefined ? '' : String(acceptableLag),
    })
    this.processes.push(app)
    return app
  }

  stateDir(instance: string): string {
    return join(this.directory, instance)
  }

  /** What is left of a process whose disk is gone. */
  async loseState(instance: string): Promise<void> {
    await rm(this.stateDir(instance), { recursive: true, force: true })
  }

  /** Adds 1 to every key, so many times. */
  async send(rounds: number): Promise<void> {
    for (let n = 0; n < rounds * this.keys; n++) {
      this.#producer.send(`${this.run}-in`, null, Buffer.from(`key ${n % this.keys}`), Buffer.from('1'), Date.now())
    }
    await this.#producer.flush()
    this.sent += rounds
  }

  /** Sends all the time, until the function it returns is called. */
  load(rounds = 5): () => Promise<void> {
    const load = { stop: false, done: Promise.resolve() }
    load.done = (async () => {
      while (!load.stop) {
        await this.send(rounds)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    this.#load = load
    return () => this.#stopLoad()
  }

  async #stopLoad(): Promise<void> {
    if (this.#load !== undefined) this.#load.stop = true
    await this.#load?.done
  }

  /** Per key every committed sum, in order. */
  async outputs(): Promise<Map<string, number[]>> {
    const published = new Map<string, number[]>()
    const reader = new TopicReader(this.client, {
      topics: [`${this.run}-out`],
      startAt: 'earliest',
      isolation: 'read_committed',
      log: quiet,
      onChunk: (chunk) => {
        visitRecords(chunk, 'read_committed', (_offset, _ms, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
          const key = bytes.toString('utf8', keyStart, keyEnd)
          const sums = published.get(key) ?? []
          published.set(key, sums)
          sums.push(Number(bytes.toString('utf8', valueStart, valueEnd)))
        })
      },
    })
    await reader.start()
    await reader.caughtUp()
    await reader.close()
    return published
  }

  /** How many offsets of the changelog are taken. */
  async changes(): Promise<number> {
    const partitions = Array.from({ length: this.partitions }, (_, partition) => partition)
    const ends = await this.#admin.listOffsets(`${this.run}-sums-changelog`, partitions, 'latest', 'read_uncommitted')
    return [...ends.values()].reduce((sum, end) => sum + end, 0)
  }

  /** Waits until every key has its exact sum; none may ever be more, and no published sum may go down. */
  async exact(): Promise<void> {
    await this.#stopLoad()
    let seen = 'nothing'
    const isExact = async () => {
      const published = await this.outputs()
      for (const [key, sums] of published) {
        const wrong = sums.find((sum, at) => sum > this.sent || (at > 0 && sum < sums[at - 1]!))
        if (wrong !== undefined)
          throw new Error(`${key} came to ${wrong} of ${this.sent}: ${sums.slice(-20).join(' ')}`)
      }
      const last = [...published.values()].map((sums) => sums.at(-1)!)
      seen = `${published.size} of ${this.keys} keys, the least at ${Math.min(...last)} of ${this.sent}`
      return published.size === this.keys && last.every((sum) => sum === this.sent)
    }
    await until(isExact, 'every sum is exact', 60_000).catch((error: Error) => {
      throw new Error(`${error.message}: ${seen}`)
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.processes.map((app) => app.end('SIGKILL')))
    await this.#stopLoad()
    await this.#producer.close()
    await this.#admin.deleteTopics(['in', 'out', 'sums-changelog'].map((name) => `${this.run}-${name}`))
    await this.client.close()
    await rm(this.directory, { recursive: true, force: true })
  }
}
