import type { TopicRecord } from '../../oracle/read-topic.js'
import { RULE_BREAKING } from '../trades.js'
import type { Expected, UnusableRecord } from './expected.js'
import { Place } from './findings.js'

/** How the sink, which reads the same topic and puts aside by itself, calls what breaks a rule. */
const OF_THE_SINK = 'INVALID_TRADE'

/**
 * The dead-letter topic: the bytes of every unusable record, nothing else, and of those that break a rule exactly one by
 * the processors. (The sink may repeat its own; of undecodable ones the letters do not tell who wrote them.)
 */
export class DeadLettersTopic {
  readonly place = new Place('topic trades.dlq')
  readonly #letters = new Map<string, { exception: string; key: Buffer | null; value: Buffer | null }[]>()

  take({ headers, keyBytes, value, partition, offset }: TopicRecord): void {
    this.place.compared++
    const name = (field: string) => headers?.get(`__streams.errors.${field}`) ?? ''
    if (name('topic') !== 'trades') this.place.differs(`${partition}/${offset} is of the topic '${name('topic')}'`)
    const record = `${name('partition')}/${name('offset')}`
    const letters = this.#letters.get(record) ?? []
    this.#letters.set(record, letters)
    letters.push({ exception: name('exception'), key: keyBytes, value })
  }

  finish({ unusable }: Expected): Place {
    for (const record of unusable) this.#judge(record, this.#letters.get(`${record.partition}/${record.offset}`) ?? [])
    const wanted = new Set(unusable.map(({ partition, offset }) => `${partition}/${offset}`))
    for (const [record, letters] of this.#letters) {
      if (!wanted.has(record)) this.place.differs(`${record} is no dead letter (${letters[0]!.exception})`)
    }
    return this.place
  }

  #judge(
    { partition, offset, reason, key, value }: UnusableRecord,
    letters: readonly { exception: string; key: Buffer | null; value: Buffer | null }[],
  ): void {
    const { place } = this
    const what = `${partition}/${offset} (${reason})`
    if (letters.some((letter) => !same(letter.key, key) || !same(letter.value, value))) {
      place.differs(`${what}: not the bytes as they came`)
    }
    const breaksRule = (RULE_BREAKING as readonly string[]).includes(reason)
    const found = letters.filter(({ exception }) => !breaksRule || exception !== OF_THE_SINK).length
    if (breaksRule) place.counted(1, found)
    else place.counted(2, Math.min(2, found))
    if (found < (breaksRule ? 1 : 2)) place.differs(`${what}: ${found} dead letters of it`)
    if (breaksRule && found > 1) place.differs(`${what}: ${found} dead letters of the processors`)
  }
}

function same(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a.equals(b)
}
