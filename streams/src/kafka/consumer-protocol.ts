import { WireReader } from './wire/reader.js'
import { WireWriter } from './wire/writer.js'

/*
 * The bytes members of a consumer group exchange (ConsumerProtocolSubscription.json, ConsumerProtocolAssignment.json of
 * Kafka), version 0, as KafkaJS and every tool that describes groups read them. Later versions append fields; they are
 * not read.
 *
 *   subscription: version int16 | [topic] | user_data nullable bytes
 *   assignment:   version int16 | [topic | [partition int32]] | user_data nullable bytes
 */
const VERSION = 0

export interface MemberSubscription {
  topics: readonly string[]
  userData: Buffer
}

export interface MemberPartitions {
  /** Partitions by topic. */
  partitions: Map<string, number[]>
  userData: Buffer
}

export function encodeSubscription({ topics, userData }: MemberSubscription): Buffer {
  const writer = new WireWriter(64 + userData.length)
  writer.int16(VERSION).array(topics, (topic) => writer.string(topic))
  return writer.nullableBytes(userData).bytes
}

/**
 * What a member told the leader: `metadata` of DescribeGroups' members. Empty bytes (a member that is joining) are an
 * empty subscription.
 * @throws RangeError if the bytes are cut off
 */
export function decodeSubscription(bytes: Buffer): MemberSubscription {
  if (bytes.length === 0) return { topics: [], userData: Buffer.alloc(0) }
  const reader = new WireReader(bytes)
  reader.int16()
  const topics = reader.array(() => reader.string())
  return { topics, userData: reader.nullableBytes() ?? Buffer.alloc(0) }
}

export function encodeAssignment({ partitions, userData }: MemberPartitions): Buffer {
  const writer = new WireWriter(256 + userData.length)
  writer.int16(VERSION).array([...partitions], ([topic, numbers]) => {
    writer.string(topic).array(numbers, (partition) => writer.int32(partition))
  })
  return writer.nullableBytes(userData).bytes
}

/**
 * What the leader gave a member: SyncGroup's answer, or `assignment` of DescribeGroups' members. Empty bytes (the group
 * is rebalancing) are an empty assignment.
 * @throws RangeError if the bytes are cut off
 */
export function decodeAssignment(bytes: Buffer): MemberPartitions {
  if (bytes.length === 0) return { partitions: new Map(), userData: Buffer.alloc(0) }
  const reader = new WireReader(bytes)
  reader.int16()
  const partitions = reader.array((): [string, number[]] => [reader.string(), reader.array(() => reader.int32())])
  return { partitions: new Map(partitions), userData: reader.nullableBytes() ?? Buffer.alloc(0) }
}
