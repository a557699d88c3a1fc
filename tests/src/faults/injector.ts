import { setTimeout as delay } from 'node:timers/promises'
import type { Link } from './link.js'
import type { Step } from './plan.js'
import { MOMENT_COMES_WITHIN_MS } from './processor.js'
import type { Moment } from './requests.js'
import type { System } from './system.js'

/** What was done, by name; joins and leaves are told apart from restarts by nobody, so both are counted by themselves. */
export type Done = Record<
  | 'kills'
  | 'leaves'
  | 'joins'
  | 'stalls'
  | 'cuts'
  | 'isolations'
  | 'lost disks'
  | 'broker bounces'
  | 'Cassandra bounces',
  number
>

const MARKERS_ARE_WRITTEN_MS = 2_000
const CAUGHT_UP_WITHIN_MS = 60_000

/** Does to the system what the plan says, when it says so. What concerns the same process or server waits its turn. */
export class Injector {
  readonly done: Done = {
    kills: 0,
    leaves: 0,
    joins: 0,
    stalls: 0,
    cuts: 0,
    isolations: 0,
    'lost disks': 0,
    'broker bounces': 0,
    'Cassandra bounces': 0,
  }
  /** From Cassandra's end until it answers again or something else is done: what is seen then is its doing. */
  onlyCassandraIsAway = false
  /** What is done to the link of each processor, one thing after the other: one that waits for its moment may take a while. */
  readonly #links: Promise<void>[] = []
  #failure: { error: unknown } | undefined

  constructor(
    private readonly system: System,
    private readonly log: (line: string) => void,
    /** Whether the processors have caught up with what came before. */
    private readonly isCaughtUp: () => boolean,
  ) {}

  /**
   * Resolves when everything is up and whole again, or after `signal`.
   * @throws what a server said that could not be started again
   */
  async run(plan: readonly Step[], signal: AbortSignal): Promise<void> {
    let startedMs = performance.now()
    const under: Promise<void>[] = []
    for (const step of plan) {
      const waitMs = step.atMs - (performance.now() - startedMs)
      if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted || this.#failure !== undefined) break
      const isCassandra = 'server' in step && step.server === 'cassandra'
      if (!isCassandra) this.onlyCassandraIsAway = false
      else if (step.what !== 'start') startedMs += await this.#untilCaughtUp(signal)
      this.log(tell(step))
      const failed = (error: unknown) => void (this.#failure ??= { error })
      under.push(this.#do(step).catch(failed))
    }
    await Promise.all(under)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #do(step: Step): Promise<void> {
    if ('server' in step) return this.#doToServer(step)
    const processor = this.system.processors[step.processor]!
    const { link } = processor
    switch (step.what) {
      case 'kill':
        this.done.kills++
        return processor.kill(step.at)
      case 'terminate':
        this.done.leaves++
        return processor.terminate()
      case 'start':
        this.done.joins++
        return processor.start()
      case 'delete state':
        this.done['lost disks']++
        return processor.deleteState()
      case 'stop':
        this.done.stalls++
        return processor.stop(step.at)
      case 'continue':
        return processor.continue()
      default:
        this.#links[step.processor] = (this.#links[step.processor] ?? Promise.resolve()).then(() =>
          this.#doToLink(link, step),
        )
        return this.#links[step.processor]!
    }
  }

  async #doToLink(
    link: Link,
    step: Extract<Step, { what: 'cut' | 'isolate' | `reconnect, ${string}` }>,
  ): Promise<void> {
    switch (step.what) {
      case 'cut':
        return this.#at(link, step.at, () => {
          this.done.cuts += step.at?.moment === 'after' ? link.cutAtAnswers() : link.cut()
        })
      case 'isolate':
        this.done.isolations++
        return this.#at(link, step.at, () => link.hold('isolation'))
      case 'reconnect, drop':
        link.cut()
        return link.release('isolation')
      case 'reconnect, deliver late':
        return link.release('isolation')
    }
  }

  async #at(link: Link, at: Moment | undefined, act: () => void): Promise<void> {
    if (at === undefined) act()
    else await link.atRequest(at, act, MOMENT_COMES_WITHIN_MS)
  }

  async #doToServer({ server, what }: Extract<Step, { server: string }>): Promise<void> {
    if (what === 'start') {
      await this.system[server].start()
      if (server === 'cassandra') this.onlyCassandraIsAway = false
      return
    }
    this.done[server === 'kafka' ? 'broker bounces' : 'Cassandra bounces']++
    if (server === 'cassandra') this.onlyCassandraIsAway = true
    const signal = what === 'kill' ? 'SIGKILL' : 'SIGTERM'
    return server === 'kafka' ? this.#endKafka(signal) : this.system.cassandra.end(signal)
  }

  /** Waits for the processors, but not for ever. @returns how long it took; all later faults are as much later */
  async #untilCaughtUp(signal: AbortSignal): Promise<number> {
    const startedMs = performance.now()
    const deadlineMs = startedMs + CAUGHT_UP_WITHIN_MS
    while (!this.isCaughtUp() && performance.now() < deadlineMs && !signal.aborted) await delay(100)
    return performance.now() - startedMs
  }

  /**
   * Ends the broker when no transaction is being committed, though some may be open: Kafka 4.1 to 4.3 forget the markers
   * of those in a cluster of one broker, which leaves what they committed unreadable (KAFKA-20734, apache/kafka#22680). A
   * broker that is stopped in order does so on its way down, one that was killed when it is fenced on its way up.
   */
  async #endKafka(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const links = this.system.processors.map(({ link }) => link)
    for (const link of links) link.hold('broker bounce')
    await delay(MARKERS_ARE_WRITTEN_MS)
    await this.system.kafka.end(signal)
    for (const link of links) {
      link.cut()
      link.release('broker bounce')
    }
  }
}

const SIGNALS: Readonly<Record<string, string>> = {
  kill: 'kill -9',
  terminate: 'SIGTERM',
  stop: 'SIGSTOP',
  continue: 'SIGCONT',
}

function tell(step: Step): string {
  const whom = 'server' in step ? step.server : `processor-${step.processor + 1}`
  const when = 'at' in step && step.at !== undefined ? ` ${step.at.moment} ${step.at.request}` : ''
  return `${step.scene}: ${SIGNALS[step.what] ?? step.what} ${whom}${when}`
}
