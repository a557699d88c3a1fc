import { KafkaError } from './errors.js'
import type { TopicMetadata } from './protocol/metadata.js'

const UNKNOWN_TOPIC = 3

/** The topics whose metadata is kept fresh, as brokers told of them last. */
export class WatchedTopics {
  readonly #topics = new Map<string, TopicMetadata>()
  /** What the last answer said instead. What was known before stays: a broker that is starting knows no topic yet. */
  readonly #errorCodes = new Map<string, number>()

  /** Takes over what a Metadata answer says. */
  answered(topics: readonly TopicMetadata[]): void {
    for (const topic of topics) {
      if (topic.errorCode === 0) {
        this.#topics.set(topic.name, topic)
        this.#errorCodes.delete(topic.name)
      } else {
        this.#errorCodes.set(topic.name, topic.errorCode)
      }
    }
  }

  has(topic: string): boolean {
    return this.#topics.has(topic)
  }

  /** Throws UNKNOWN_TOPIC_OR_PARTITION for one that is not watched. */
  get(topic: string): TopicMetadata {
    const known = this.#topics.get(topic)
    if (known === undefined) throw KafkaError.named('UNKNOWN_TOPIC_OR_PARTITION', { topic }, 'not watched')
    return known
  }

  /** The node id of a partition's leader, or undefined while there is none. */
  leaderIdOf(topic: string, partition: number): number | undefined {
    if (this.#errorCodes.get(topic) === UNKNOWN_TOPIC) return undefined
    const leader = this.#topics.get(topic)?.partitions.find((p) => p.partition === partition)?.leader ?? -1
    return leader < 0 ? undefined : leader
  }

  /** Why a partition has no leader. */
  leaderless(topic: string, partition: number): KafkaError {
    const exists = this.get(topic).partitions.some((p) => p.partition === partition)
    const name = exists && !this.#errorCodes.has(topic) ? 'LEADER_NOT_AVAILABLE' : 'UNKNOWN_TOPIC_OR_PARTITION'
    return KafkaError.named(name, { topic, partition })
  }

  /** Why topics cannot be watched; what was said about them is forgotten. */
  missing(topics: readonly string[]): KafkaError {
    const errorCode = this.#errorCodes.get(topics[0]!) ?? UNKNOWN_TOPIC
    for (const topic of topics) this.#errorCodes.delete(topic)
    return KafkaError.fromCode(errorCode, { topic: topics.join(', ') })
  }
}
