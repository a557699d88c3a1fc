import { readTopics, type TopicRecord } from '../../oracle/read-topic.js'
import { checkRest, checkStores } from './answers.js'
import { Changelogs } from './changelogs.js'
import { DeadLettersTopic } from './dead-letters.js'
import { Expected } from './expected.js'
import type { Place } from './findings.js'
import { checkTables, type TablesAt } from './tables.js'
import { AveragesTopic, BarsTopic } from './topics.js'

/** Where the system that has come to rest can be asked. */
export interface SystemAtRest {
  kafkaBrokers: string
  applicationId: string
  cassandra: TablesAt
  api: string
  /** Base URLs. */
  processors: readonly string[]
  /** kill -9 of all processors; resolves when they are ready again. */
  restartProcessors(): Promise<void>
}

export interface Verdict {
  /** Usable trades on the topic, and the others. */
  trades: number
  unusable: number
  symbols: number
  bars: number
  places: Place[]
}

/**
 * Folds the topic `trades` independently and compares everything that was made of it. Windows may still be announced
 * closed meanwhile, by the clocks of partitions that are quiet: what was read first may be older than what is read after it.
 */
export async function judge(system: SystemAtRest, progress: (step: string) => void): Promise<Verdict> {
  const { kafkaBrokers, applicationId, cassandra, api, processors } = system
  progress('folding the topic trades independently')
  const expected = await Expected.read(kafkaBrokers)
  const bars = expected.bars()
  progress(`${expected.trades.toLocaleString('en-US')} trades are folded; reading what was made of them`)
  const changelogs = new Changelogs(applicationId)
  const averagesTopic = new AveragesTopic(expected)
  const barsTopic = new BarsTopic(expected, bars)
  const deadLetters = new DeadLettersTopic()
  await readTopics(kafkaBrokers, {
    ...Object.fromEntries(
      changelogs.topics.map((topic) => [topic, (record: TopicRecord) => changelogs.take(topic, record)]),
    ),
    averages: (record) => averagesTopic.take(record),
    bars: (record) => barsTopic.take(record),
    'trades.dlq': (record) => deadLetters.take(record),
  })
  const places = [
    averagesTopic.finish(),
    barsTopic.finish(),
    deadLetters.finish(expected),
    changelogs.finish(expected, barsTopic.last),
  ]
  progress('asking the processors and the API for every symbol')
  places.push(await checkStores('stores', processors, expected, bars))
  places.push(await checkRest(api, expected, bars))
  progress('reading every row in Cassandra')
  places.push(await checkTables(cassandra, expected, bars, barsTopic.last))
  progress('killing all processors, to see what their disks and changelogs hold')
  await system.restartProcessors()
  places.push(await checkStores('stores after a last kill -9', processors, expected, bars))
  return {
    trades: expected.trades,
    unusable: expected.unusable.length,
    symbols: expected.oracle.symbols.size,
    bars: bars.size,
    places,
  }
}
