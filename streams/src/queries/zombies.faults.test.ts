import { expect, inject, it } from 'vitest'
import { partitionFor } from '../kafka/partitioner.js'
import { until } from '../kafka/testing/test-cluster.js'
import { CountingGroup } from '../testing/counting-group.js'
import type { QuerySource } from './protocol.js'

const PARTITIONS = 4
const KEYS = 12

interface Answer {
  key: string
  /** When it was asked and when the answer was there, on this process's clock. */
  askedAtMs: number
  atMs: number
  value: number
  source: QuerySource
}

/** Asks one process straight, all the time, about every key; a frozen one holds up to so many requests. */
class Asking {
  readonly answers: Answer[] = []
  #over = false
  readonly #done: Promise<unknown>

  constructor(
    private readonly url: string,
    atOnce: number,
  ) {
    this.#done = Promise.all(Array.from({ length: atOnce }, (_, at) => this.#ask(at)))
  }

  async end(): Promise<void> {
    this.#over = true
    await this.#done
  }

  async #ask(first: number): Promise<void> {
    for (let n = first; !this.#over; n++) {
      const key = `key ${n % KEYS}`
      const askedAtMs = performance.now()
      const answer = await fetch(`${this.url}/stores/sums/get?key=${Buffer.from(key).toString('base64url')}`)
      const body = (await answer.json()) as { result: string; source: QuerySource }
      if (answer.status !== 200) continue
      const value = Number(Buffer.from(body.result, 'base64url').toString())
      this.answers.push({ key, askedAtMs, atMs: performance.now(), value, source: body.source })
    }
  }
}

it('a process that was frozen past its session never calls itself active for what another has taken over', async () => {
  const group = await CountingGroup.create(inject('kafkaBrokers'), { partitions: PARTITIONS, keys: KEYS })
  const askings: Asking[] = []
  try {
    const zombie = group.start('a', { queries: true })
    const heir = group.start('b', { queries: true })
    await until(() => zombie.assigned?.tasks.length === 2 && heir.assigned?.tasks.length === 2, 'both have tasks')
    await Promise.all([zombie.running(), heir.running()])
    await group.send(1)
    await group.exact()
    const tasks = zombie.assigned!.tasks
    const isTaken = ({ key }: Answer) => tasks.includes(`0_${partitionFor(Buffer.from(key), PARTITIONS)}`)
    const asking = new Asking(zombie.url!, 40)
    askings.push(asking)
    await until(() => asking.answers.some((answer) => isTaken(answer) && answer.source.role === 'active'), 'it answers')

    zombie.signal('SIGSTOP')
    await until(() => heir.assigned?.tasks.length === PARTITIONS && heir.isRunning, 'the heir has all tasks', 60_000)
    await group.send(1)
    await group.exact()
    const committedAtMs = performance.now()
    const watching = new Asking(heir.url!, 4)
    askings.push(watching)
    const seen = () => watching.answers.filter((answer) => isTaken(answer) && answer.source.role === 'active')
    await until(() => new Set(seen().map(({ key }) => key)).size > 2, 'the heir answers')
    const { generation } = seen()[0]!.source
    const wokenAtMs = performance.now()
    const { assignments } = zombie
    zombie.signal('SIGCONT')
    await until(() => zombie.assignments > assignments, 'it is back', 60_000)
    await until(
      () => asking.answers.some(({ source }) => source.generation > generation),
      'it speaks for the new group',
    )
    await Promise.all(askings.map((one) => one.end()))

    const woken = asking.answers.filter((answer) => answer.atMs > wokenAtMs && isTaken(answer))
    expect(woken.length).toBeGreaterThan(20)
    const claims = woken.filter(({ source }) => source.role === 'active')
    expect(claims.filter(({ source }) => source.generation <= generation)).toEqual([])
    // What was sent while it was frozen: no active may not know of it.
    expect(claims.filter(({ value }) => value !== 2)).toEqual([])
    // And a standby that does not know of it says that it may be as old as that at least.
    const old = woken.filter(({ value, source }) => value === 1 && source.role === 'standby')
    expect(old.length).toBeGreaterThan(0)
    for (const { atMs, source } of old) expect(atMs - source.staleMs).toBeLessThan(committedAtMs)
  } finally {
    await Promise.all(askings.map((one) => one.end().catch(() => undefined)))
    await group.close()
  }
})
