import type { WireReader } from '../wire/reader.js'
import type { ApiRequest } from './api-request.js'
import { byTopic } from './by-topic.js'

/** Who speaks in a transaction. */
export interface TransactionalIdentity {
  transactionalId: string
  producerId: bigint
  producerEpoch: number
}

export interface ErrorAnswer {
  throttleTimeMs: number
  errorCode: number
}

export interface PartitionErrors {
  throttleTimeMs: number
  partitions: { topic: string; partition: number; errorCode: number }[]
}

/**
 * InitProducerId v4 (Kafka 2.7 and later): a producer id and epoch. With a transactional id it aborts what its former owner
 * left open and fences it by the new epoch.
 *
 * InitProducerId Request (Version: 4) => transactional_id transaction_timeout_ms producer_id producer_epoch TAG_BUFFER
 *   transactional_id => COMPACT_NULLABLE_STRING, transaction_timeout_ms => INT32
 *   producer_id => INT64 (-1), producer_epoch => INT16 (-1)
 *
 * InitProducerId Response (Version: 4) => throttle_time_ms error_code producer_id producer_epoch TAG_BUFFER
 *   throttle_time_ms => INT32, error_code => INT16, producer_id => INT64, producer_epoch => INT16
 */
export function initProducerId(
  transactionalId: string | null,
  transactionTimeoutMs: number,
): ApiRequest<ErrorAnswer & { producerId: bigint; producerEpoch: number }> {
  return {
    apiKey: 22,
    version: 4,
    name: 'InitProducerId',
    flexible: true,
    encode(writer) {
      writer.compactString(transactionalId).int32(transactionTimeoutMs).bigInt64(-1n).int16(-1).tags()
    },
    decode(reader) {
      return {
        throttleTimeMs: reader.int32(),
        errorCode: reader.int16(),
        producerId: reader.bigInt64(),
        producerEpoch: reader.int16(),
      }
    },
  }
}

/**
 * AddPartitionsToTxn v3: tells the transaction's coordinator which partitions will be written. The first one begins the
 * transaction on the broker.
 *
 * AddPartitionsToTxn Request (Version: 3) => transactional_id producer_id producer_epoch [topics] TAG_BUFFER
 *   transactional_id => COMPACT_STRING, producer_id => INT64, producer_epoch => INT16
 *   topics => name [partitions] TAG_BUFFER
 *     name => COMPACT_STRING, partitions => INT32
 *
 * AddPartitionsToTxn Response (Version: 3) => throttle_time_ms [results] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   results => name [partition_results] TAG_BUFFER
 *     name => COMPACT_STRING
 *     partition_results => partition_index partition_error_code TAG_BUFFER
 *       partition_index => INT32, partition_error_code => INT16
 */
export function addPartitionsToTxn(
  identity: TransactionalIdentity,
  topics: ReadonlyMap<string, readonly number[]>,
): ApiRequest<PartitionErrors> {
  return {
    apiKey: 24,
    version: 3,
    name: 'AddPartitionsToTxn',
    flexible: true,
    encode(writer) {
      writer.compactString(identity.transactionalId).bigInt64(identity.producerId).int16(identity.producerEpoch)
      writer.compactArray([...topics], ([topic, partitions]) => {
        writer.compactString(topic).compactArray(partitions, (partition) => writer.int32(partition))
        writer.tags()
      })
      writer.tags()
    },
    decode: decodePartitionErrors,
  }
}

/**
 * AddOffsetsToTxn v3: tells the transaction's coordinator that offsets of a group will be committed with it.
 *
 * AddOffsetsToTxn Request (Version: 3) => transactional_id producer_id producer_epoch group_id TAG_BUFFER
 *   transactional_id => COMPACT_STRING, producer_id => INT64, producer_epoch => INT16, group_id => COMPACT_STRING
 *
 * AddOffsetsToTxn Response (Version: 3) => throttle_time_ms error_code TAG_BUFFER
 *   throttle_time_ms => INT32, error_code => INT16
 */
export function addOffsetsToTxn(identity: TransactionalIdentity, groupId: string): ApiRequest<ErrorAnswer> {
  return {
    apiKey: 25,
    version: 3,
    name: 'AddOffsetsToTxn',
    flexible: true,
    encode(writer) {
      writer.compactString(identity.transactionalId).bigInt64(identity.producerId).int16(identity.producerEpoch)
      writer.compactString(groupId).tags()
    },
    decode: decodeError,
  }
}

export interface GroupStanding {
  groupId: string
  generationId: number
  memberId: string
}

export interface TransactionalOffset {
  topic: string
  partition: number
  offset: number
  metadata: string
}

/**
 * TxnOffsetCommit v3 (Kafka 2.5 and later): offsets as part of a transaction. The group's generation and member id are what
 * fences an instance that lost its partitions (KIP-447); earlier versions, KafkaJS's among them, are accepted from anybody.
 *
 * TxnOffsetCommit Request (Version: 3) => transactional_id group_id producer_id producer_epoch generation_id member_id group_instance_id [topics] TAG_BUFFER
 *   transactional_id, group_id => COMPACT_STRING, producer_id => INT64, producer_epoch => INT16
 *   generation_id => INT32, member_id => COMPACT_STRING, group_instance_id => COMPACT_NULLABLE_STRING
 *   topics => name [partitions] TAG_BUFFER
 *     name => COMPACT_STRING
 *     partitions => partition_index committed_offset committed_leader_epoch committed_metadata TAG_BUFFER
 *       partition_index => INT32, committed_offset => INT64, committed_leader_epoch => INT32 (-1)
 *       committed_metadata => COMPACT_NULLABLE_STRING
 *
 * TxnOffsetCommit Response (Version: 3) => throttle_time_ms [topics] TAG_BUFFER
 *   throttle_time_ms => INT32
 *   topics => name [partitions] TAG_BUFFER
 *     name => COMPACT_STRING
 *     partitions => partition_index error_code TAG_BUFFER
 *       partition_index => INT32, error_code => INT16
 */
export function txnOffsetCommit(
  identity: TransactionalIdentity,
  group: GroupStanding,
  offsets: readonly TransactionalOffset[],
): ApiRequest<PartitionErrors> {
  return {
    apiKey: 28,
    version: 3,
    name: 'TxnOffsetCommit',
    flexible: true,
    encode(writer) {
      writer.compactString(identity.transactionalId).compactString(group.groupId)
      writer.bigInt64(identity.producerId).int16(identity.producerEpoch)
      writer.int32(group.generationId).compactString(group.memberId).compactString(null)
      writer.compactArray(byTopic(offsets), ([topic, entries]) => {
        writer.compactString(topic)
        writer.compactArray(entries, ({ partition, offset, metadata }) =>
          writer.int32(partition).int64(offset).int32(-1).compactString(metadata).tags(),
        )
        writer.tags()
      })
      writer.tags()
    },
    decode: decodePartitionErrors,
  }
}

/**
 * EndTxn v3: commits or aborts.
 *
 * EndTxn Request (Version: 3) => transactional_id producer_id producer_epoch committed TAG_BUFFER
 *   transactional_id => COMPACT_STRING, producer_id => INT64, producer_epoch => INT16, committed => BOOLEAN
 *
 * EndTxn Response (Version: 3) => throttle_time_ms error_code TAG_BUFFER
 *   throttle_time_ms => INT32, error_code => INT16
 */
export function endTxn(identity: TransactionalIdentity, commit: boolean): ApiRequest<ErrorAnswer> {
  return {
    apiKey: 26,
    version: 3,
    name: 'EndTxn',
    flexible: true,
    encode(writer) {
      writer.compactString(identity.transactionalId).bigInt64(identity.producerId).int16(identity.producerEpoch)
      writer.boolean(commit).tags()
    },
    decode: decodeError,
  }
}

function decodeError(reader: WireReader): ErrorAnswer {
  return { throttleTimeMs: reader.int32(), errorCode: reader.int16() }
}

function decodePartitionErrors(reader: WireReader): PartitionErrors {
  const throttleTimeMs = reader.int32()
  const topics = reader.compactArray(() => {
    const topic = reader.compactString()
    const partitions = reader.compactArray(() => {
      const answer = { topic, partition: reader.int32(), errorCode: reader.int16() }
      reader.tags()
      return answer
    })
    reader.tags()
    return partitions
  })
  return { throttleTimeMs, partitions: topics.flat() }
}
