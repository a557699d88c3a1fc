import { askCoordinator, patiently } from './admin-calls.js'
import type { CommittedOffset } from './admin.js'
import type { KafkaClient } from './client.js'
import { failOn } from './errors.js'
import { listGroups, type ListedGroup } from './protocol/list-groups.js'
import { metadata } from './protocol/metadata.js'
import { offsetCommitRequest, type OffsetToCommit } from './protocol/offset-commit.js'
import { offsetDelete } from './protocol/offset-delete.js'
import { offsetFetchRequest } from './protocol/offset-fetch.js'

/** What tools do to groups from outside. Retries as KafkaAdmin does; all errors are KafkaErrors. */
export class GroupAdmin {
  readonly #client: KafkaClient

  constructor(client: KafkaClient) {
    this.#client = client
  }

  /** All groups of the cluster that one may see. */
  async listGroups(): Promise<ListedGroup[]> {
    return patiently(this.#client, async () => {
      const { brokers } = await this.#client.send(await this.#client.anyBroker(), metadata([]))
      const listed = await Promise.all(
        brokers.map(async ({ nodeId }) => {
          const { errorCode, groups } = await this.#client.send(await this.#client.brokerWithId(nodeId), listGroups())
          failOn(errorCode)
          return groups
        }),
      )
      return listed.flat()
    })
  }

  /** Everything a group has committed, whatever the topics; `unstable` where a transaction is not decided yet. */
  async committedOffsets(groupId: string): Promise<CommittedOffset[]> {
    const request = offsetFetchRequest({ groupId, topics: null, requireStable: true })
    return askCoordinator(this.#client, groupId, request, ({ errorCode, offsets }) => {
      failOn(errorCode, { groupId })
      return offsets.map(({ topic, partition, errorCode: code, offset, metadata: text }) => {
        const unstable = code === UNSTABLE_OFFSET_COMMIT
        if (!unstable) failOn(code, { groupId, topic, partition })
        return { topic, partition, offset: unstable ? -1 : offset, metadata: text, unstable }
      })
    })
  }

  /**
   * Sets offsets of a group that has no members, in one step: a crash leaves all of them or none.
   * @throws KafkaError UNKNOWN_MEMBER_ID when it has members: the broker lets only them commit
   */
  async commitOffsets(groupId: string, offsets: readonly OffsetToCommit[]): Promise<void> {
    if (offsets.length === 0) return
    const request = offsetCommitRequest({ groupId, generationId: NO_GENERATION, memberId: '', offsets })
    await askCoordinator(this.#client, groupId, request, (answers) => {
      for (const { topic, partition, errorCode } of answers) failOn(errorCode, { groupId, topic, partition })
    })
  }

  /** Takes away committed offsets. Missing offsets, topics and groups are fine. */
  async deleteOffsets(groupId: string, offsets: readonly { topic: string; partition: number }[]): Promise<void> {
    if (offsets.length === 0) return
    await askCoordinator(this.#client, groupId, offsetDelete(groupId, offsets), ({ errorCode, partitions }) => {
      if (errorCode !== GROUP_ID_NOT_FOUND) failOn(errorCode, { groupId })
      for (const { topic, partition, errorCode: code } of partitions) {
        if (code !== UNKNOWN_TOPIC_OR_PARTITION) failOn(code, { groupId, topic, partition })
      }
    })
  }
}

const NO_GENERATION = -1
const UNKNOWN_TOPIC_OR_PARTITION = 3
const GROUP_ID_NOT_FOUND = 69
const UNSTABLE_OFFSET_COMMIT = 88
