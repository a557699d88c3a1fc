import { askCoordinator, patiently } from './admin-calls.js'
import type { Broker, KafkaClient } from './client.js'
import { KafkaError, failOn } from './errors.js'
import type { IsolationLevel } from './fetched-chunk.js'
import { describeTopicConfigs } from './protocol/describe-configs.js'
import { deleteGroups, describeGroups, leaveGroup, type DescribedMember } from './protocol/groups.js'
import { listOffsetsRequest, type OffsetAt } from './protocol/list-offsets.js'
import { metadata, type TopicMetadata } from './protocol/metadata.js'
import { offsetFetchRequest } from './protocol/offset-fetch.js'
import { createTopics, deleteTopics } from './protocol/topics.js'

export type { DescribedMember, OffsetAt }

/** A topic to be made. */
export interface TopicSpec {
  name: string
  partitions: number
  /** Default: the broker's default.replication.factor. */
  replicationFactor?: number
  config?: Record<string, string>
}

/** A topic as it is. */
export interface TopicDescription {
  name: string
  /** UUID: a topic deleted and made again under its name has another one. */
  topicId: string
  partitions: number
}

/** What a group has committed of a partition. */
export interface CommittedOffset {
  topic: string
  partition: number
  /** -1: none committed, or unstable */
  offset: number
  metadata: string
  /** An open or undecided transaction holds offsets of this partition: ask again. Only with requireStable. */
  unstable: boolean
}

/** A group and its members. */
export interface GroupDescription {
  /** 'Stable', 'Empty', 'PreparingRebalance', 'CompletingRebalance', 'Dead' (there is no such group). */
  state: string
  /** The assignor's name, '' while there is none. */
  protocol: string
  members: DescribedMember[]
}

const SERVER_TIMEOUT_MS = 10_000
const BROKER_DEFAULT = -1

/** Topics, offsets and groups. Every call retries what heals by itself for up to 30 s; all errors are KafkaErrors. */
export class KafkaAdmin {
  readonly #client: KafkaClient

  constructor(client: KafkaClient) {
    this.#client = client
  }

  /**
   * Creates the topics that are missing, waits until they have leaders, and returns their names. An existing topic with the
   * same number of partitions is fine (its settings are left alone); with another number this throws INVALID_PARTITIONS,
   * because keys would no longer meet their former partitions.
   */
  async createTopics(specs: readonly TopicSpec[]): Promise<string[]> {
    if (specs.length === 0) return []
    const existing = new Map(
      (await this.describeTopics(specs.map(({ name }) => name))).map((topic) => [topic.name, topic]),
    )
    const created: string[] = []
    for (const spec of specs) {
      if (!existing.has(spec.name) && (await this.#create(spec))) created.push(spec.name)
    }
    const names = specs.map(({ name }) => name)
    const ready = await patiently(this.#client, () => this.#whenLed(names))
    for (const { name, partitions } of specs) {
      const found = ready.find((topic) => topic.name === name)!.partitions
      if (found !== partitions) {
        throw KafkaError.named(
          'INVALID_PARTITIONS',
          { topic: name },
          `it has ${found} partitions and ${partitions} are configured: keys would change partitions. ` +
            `Configure ${found}, or make a new topic with ${partitions} and reprocess into it`,
        )
      }
    }
    return created
  }

  /** False if somebody else was faster. */
  async #create({ name, partitions, replicationFactor = BROKER_DEFAULT, config = {} }: TopicSpec): Promise<boolean> {
    return patiently(this.#client, async () => {
      const broker = await this.#client.controller()
      const request = createTopics([{ name, partitions, replicationFactor, config }], SERVER_TIMEOUT_MS)
      const { errorCode, errorMessage } = only((await this.#client.send(broker, request)).topics, 'CreateTopics')
      if (errorCode === TOPIC_ALREADY_EXISTS) return false
      failOn(errorCode, { topic: name }, errorMessage)
      return true
    })
  }

  /** The topics once every partition has a leader; retriable errors until then. */
  async #whenLed(names: readonly string[]): Promise<TopicDescription[]> {
    const found = await this.#topicMetadata(names)
    for (const topic of names) {
      const known = found.find(({ name }) => name === topic)
      if (known === undefined) throw KafkaError.named('UNKNOWN_TOPIC_OR_PARTITION', { topic })
      if (known.partitions.some(({ leader }) => leader < 0)) throw KafkaError.named('LEADER_NOT_AVAILABLE', { topic })
    }
    return found.map(asDescription)
  }

  /** The names of all topics that one may see, in order. */
  async listTopics(): Promise<string[]> {
    return (await patiently(this.#client, () => this.#topicMetadata(null))).map(({ name }) => name).sort()
  }

  /** The topics of these names that exist. */
  async describeTopics(names: readonly string[]): Promise<TopicDescription[]> {
    if (names.length === 0) return []
    return (await patiently(this.#client, () => this.#topicMetadata(names))).map(asDescription)
  }

  /**
   * These settings of each topic, as they hold: its own or the brokers'. Fails with TOPIC_AUTHORIZATION_FAILED where one may
   * not see them.
   */
  async topicConfigs(
    topics: readonly string[],
    keys: readonly string[],
  ): Promise<Map<string, ReadonlyMap<string, string | null>>> {
    if (topics.length === 0) return new Map()
    return patiently(this.#client, async () => {
      const answer = await this.#client.send(await this.#client.anyBroker(), describeTopicConfigs(topics, keys))
      for (const { name, errorCode, errorMessage } of answer.topics) failOn(errorCode, { topic: name }, errorMessage)
      return new Map(answer.topics.map(({ name, config }) => [name, config]))
    })
  }

  async #topicMetadata(names: readonly string[] | null): Promise<TopicMetadata[]> {
    const { topics } = await this.#client.send(await this.#client.anyBroker(), metadata(names))
    for (const { errorCode, name } of topics) {
      if (errorCode !== UNKNOWN_TOPIC_OR_PARTITION) failOn(errorCode, { topic: name })
    }
    return topics.filter(({ errorCode }) => errorCode === 0)
  }

  /**
   * The first offset still there (`earliest`), the end (`latest`: the high watermark for read_uncommitted, the last stable
   * offset for read_committed), or the first offset at a time or after it, -1 where there is none.
   */
  async listOffsets(
    topic: string,
    partitions: readonly number[],
    at: OffsetAt,
    isolation: IsolationLevel,
  ): Promise<Map<number, number>> {
    const found = new Map<number, number>()
    await patiently(this.#client, async () => {
      try {
        await this.#listMissingOffsets(found, topic, partitions, at, isolation)
      } catch (error) {
        if (error instanceof KafkaError && error.retriable) await this.#client.refreshMetadata()
        throw error
      }
    })
    return found
  }

  async #listMissingOffsets(
    found: Map<number, number>,
    topic: string,
    partitions: readonly number[],
    at: OffsetAt,
    isolation: IsolationLevel,
  ): Promise<void> {
    const byLeader = new Map<Broker, number[]>()
    for (const partition of partitions) {
      if (found.has(partition)) continue
      const leader = await this.#client.leaderOf(topic, partition)
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition])
    }
    const ask = async ([leader, theirs]: [Broker, number[]]) => {
      const request = listOffsetsRequest({ topics: [{ topic, partitions: theirs }], at, isolation })
      for (const { partition, errorCode, offset } of await this.#client.send(leader, request)) {
        failOn(errorCode, { topic, partition })
        found.set(partition, offset)
      }
    }
    await Promise.all([...byLeader].map(ask))
    const missing = partitions.find((partition) => !found.has(partition))
    if (missing !== undefined) throw KafkaError.invalidAnswer('ListOffsets left it out', { topic, partition: missing })
  }

  /**
   * What a group has committed. With requireStable a partition whose offsets wait for a transaction's outcome is `unstable`
   * instead of answered with the offset before it (KIP-447).
   */
  async committedOffsets(
    groupId: string,
    topics: ReadonlyMap<string, readonly number[]>,
    { requireStable }: { requireStable: boolean },
  ): Promise<CommittedOffset[]> {
    const wanted = [...topics].map(([topic, partitions]) => ({ topic, partitions }))
    return askCoordinator(
      this.#client,
      groupId,
      offsetFetchRequest({ groupId, topics: wanted, requireStable }),
      (answer) => {
        failOn(answer.errorCode, { groupId })
        return answer.offsets.map(({ topic, partition, errorCode, offset, metadata: text }) => {
          const unstable = errorCode === UNSTABLE_OFFSET_COMMIT
          if (!unstable) failOn(errorCode, { groupId, topic, partition })
          return { topic, partition, offset: unstable ? -1 : offset, metadata: text, unstable }
        })
      },
    )
  }

  /** A group as its coordinator knows it; a group that never was is Dead. */
  async describeGroup(groupId: string): Promise<GroupDescription> {
    return askCoordinator(this.#client, groupId, describeGroups([groupId]), ({ groups }) => {
      const { errorCode, state, protocol, members } = only(groups, 'DescribeGroups')
      failOn(errorCode, { groupId })
      return { state, protocol, members }
    })
  }

  /** Takes a member out of its group at once, instead of after its session timeout. An unknown member is fine. */
  async leaveGroup(groupId: string, memberId: string): Promise<void> {
    await askCoordinator(this.#client, groupId, leaveGroup(groupId, memberId), ({ errorCode, members }) => {
      for (const code of [errorCode, ...members.map((member) => member.errorCode)]) {
        if (code !== UNKNOWN_MEMBER_ID) failOn(code, { groupId })
      }
    })
  }

  /** Deletes topics; missing ones are fine. */
  async deleteTopics(names: readonly string[]): Promise<void> {
    await patiently(this.#client, async () => {
      const broker = await this.#client.controller()
      const { topics } = await this.#client.send(broker, deleteTopics(names, SERVER_TIMEOUT_MS))
      for (const { name, errorCode, errorMessage } of topics) {
        if (errorCode !== UNKNOWN_TOPIC_OR_PARTITION) failOn(errorCode, { topic: name }, errorMessage)
      }
    })
  }

  /** Deletes an empty group with its offsets; a missing one is fine. Throws NON_EMPTY_GROUP while it has members. */
  async deleteGroup(groupId: string): Promise<void> {
    await askCoordinator(this.#client, groupId, deleteGroups([groupId]), ({ groups }) => {
      const { errorCode } = only(groups, 'DeleteGroups')
      if (errorCode !== GROUP_ID_NOT_FOUND) failOn(errorCode, { groupId })
    })
  }
}

const UNKNOWN_TOPIC_OR_PARTITION = 3
const UNKNOWN_MEMBER_ID = 25
const TOPIC_ALREADY_EXISTS = 36
const GROUP_ID_NOT_FOUND = 69
const UNSTABLE_OFFSET_COMMIT = 88

function asDescription({ name, topicId, partitions }: TopicMetadata): TopicDescription {
  return { name, topicId, partitions: partitions.length }
}

function only<T>(items: readonly T[], request: string): T {
  const [item] = items
  if (item === undefined) throw KafkaError.invalidAnswer(`${request} answered nothing`)
  return item
}
