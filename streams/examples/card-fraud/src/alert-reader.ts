import type { KafkaClient } from '@candlewick/streams/kafka/client'
import type { KafkaLog } from '@candlewick/streams/kafka/config'
import { visitRecords } from '@candlewick/streams/kafka/records/decode'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'
import { alertSerde, type Alert } from './alert.js'

/** Hands over every alert that is committed, from the beginning of the topic on or from now on. */
export function readAlerts(
  client: KafkaClient,
  { topic, startAt, log }: { topic: string; startAt: 'earliest' | 'latest'; log: KafkaLog },
  onAlert: (alert: Alert) => void,
): TopicReader {
  return new TopicReader(client, {
    topics: [topic],
    startAt,
    isolation: 'read_committed',
    log,
    onChunk: (chunk) => {
      visitRecords(chunk, 'read_committed', (_offset, _ms, bytes, _keyStart, _keyEnd, valueStart, valueEnd) => {
        onAlert(alertSerde.decode(bytes, valueStart, valueEnd))
      })
    },
  })
}
