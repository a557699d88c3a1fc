import { KafkaAdmin } from '../admin.js'
import type { KafkaClient } from '../client.js'
import { fetchRequest } from '../protocol/fetch.js'
import { COMPRESSIONS, type Compression } from '../records/compression.js'
import { peekNextOffset } from '../records/decode.js'

const CONTROL = 0x20

/** The codecs of all batches with records in a partition; transaction markers are not counted. */
export async function codecsOf(client: KafkaClient, topic: string, partition: number): Promise<Set<Compression>> {
  const codecs = new Set<Compression>()
  const end = (await new KafkaAdmin(client).listOffsets(topic, [partition], 'latest', 'read_committed')).get(partition)!
  for (let position = 0; position < end;) {
    const request = fetchRequest({
      ...{ isolation: 'read_committed', maxWaitMs: 100, minBytes: 1, maxBytes: 8 << 20 },
      partitions: [{ topic, partition, offset: position, maxBytes: 8 << 20 }],
    })
    const answer = await client.send(await client.leaderOf(topic, partition), request)
    const chunk = { ...answer.partitions[0]!, fetchOffset: position }
    const bytes = chunk.records!
    for (let at = 0; at + 61 <= bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
      const attributes = bytes.readInt16BE(at + 21)
      if ((attributes & CONTROL) === 0) codecs.add(COMPRESSIONS[attributes & 7]!)
    }
    position = peekNextOffset(chunk)
  }
  return codecs
}
