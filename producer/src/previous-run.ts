import { tradeCodec } from '@candlewick/schemas/codecs'
import type { Logger } from '@candlewick/service/logger'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import type { KafkaClient } from '@candlewick/streams/kafka/client'
import { Fetcher } from '@candlewick/streams/kafka/fetcher'
import { visitRecords } from '@candlewick/streams/kafka/records/decode'

const TIMEOUT_MS = 5_000

/**
 * When the last trade of an earlier run arrived: what came after it, while no producer ran or in the buffer of one that
 * crashed, is missing. Looks at the last record of each partition.
 * @returns epoch milliseconds; undefined when the topic has no trade of this source at its ends
 */
export async function lastReceivedAtMs(
  client: KafkaClient,
  topic: string,
  source: string,
  log: Logger,
): Promise<number | undefined> {
  const admin = new KafkaAdmin(client)
  const partitions = Array.from({ length: client.partitionCount(topic) }, (_, partition) => partition)
  const earliest = await admin.listOffsets(topic, partitions, 'earliest', 'read_uncommitted')
  const latest = await admin.listOffsets(topic, partitions, 'latest', 'read_uncommitted')
  const positions = partitions
    .map((partition) => ({ topic, partition, offset: (latest.get(partition) ?? 0) - 1 }))
    .filter(({ partition, offset }) => offset >= (earliest.get(partition) ?? 0))
  if (positions.length === 0) return undefined

  let newestMs: number | undefined
  const pending = new Set(positions.map(({ partition }) => partition))
  const deadlineMs = Date.now() + TIMEOUT_MS
  const fetcher = new Fetcher(client, { isolation: 'read_uncommitted', log })
  try {
    fetcher.assign(positions)
    while (pending.size > 0 && Date.now() < deadlineMs) {
      const chunk = await fetcher.poll(500)
      if (!chunk) continue
      visitRecords(chunk, 'read_uncommitted', (_offset, _timestampMs, bytes, _keyStart, _keyEnd, start, end) => {
        pending.delete(chunk.partition)
        if (end < start) return
        const trade = tradeCodec.decode(bytes, start, end)
        if (trade.source === source && trade.receivedAt > (newestMs ?? 0)) newestMs = trade.receivedAt
      })
    }
  } finally {
    await fetcher.close()
  }
  return newestMs
}
