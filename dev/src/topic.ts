import { once } from 'node:events'
import { averageCodec, barCodec, prepareCodecs, tradeCodec } from '@candlewick/schemas/codecs'
import { topicNames } from '@candlewick/schemas/topics'
import { kafkaConfig, KAFKA_SETTINGS } from '@candlewick/service/kafka-settings'
import { createLogger } from '@candlewick/service/logger'
import { StartError } from '@candlewick/service/process'
import { readSettings, str } from '@candlewick/service/settings'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import type { FetchedChunk } from '@candlewick/streams/kafka/fetched-chunk'
import { visitRecords } from '@candlewick/streams/kafka/records/decode'
import { TopicReader } from '@candlewick/streams/kafka/topic-reader'
import { onEnd, runCommand } from './command.js'
import { loadEnv } from './load-env.js'

const USAGE = `npm run topic -- trades|averages|bars [--from-start]

Prints the records of a topic as they come, decoded, one JSON object a line, until Ctrl-C. Where Kafka is, the settings say
(the environment or .env): by default the one of npm start.

  --from-start  begins with the oldest record`

const CODECS = { trades: tradeCodec, averages: averageCodec, bars: barCodec }
const ISOLATION = 'read_committed'

async function main(name: keyof typeof CODECS, startAt: 'earliest' | 'latest'): Promise<void> {
  loadEnv()
  const settings = readSettings({ ...KAFKA_SETTINGS, TOPIC_PREFIX: str({ default: '' }) })
  await prepareCodecs()
  const log = createLogger('topic', 'silent')
  const client = new KafkaClient(kafkaConfig(settings, 'topic'), log)
  const ending = new AbortController()
  onEnd(() => ending.abort())
  process.stdout.on('error', () => ending.abort())
  await client.connect().catch((error: Error) => {
    throw new StartError(`Kafka at ${settings.KAFKA_BROKERS.join(', ')}: ${error.message}`, { cause: error })
  })
  const topic = topicNames(settings.TOPIC_PREFIX)[name]
  const onChunk = (chunk: FetchedChunk) => print(chunk, CODECS[name])
  const reader = new TopicReader(client, { topics: [topic], startAt, isolation: ISOLATION, onChunk, log })
  try {
    await Promise.race([reader.start(), once(ending.signal, 'abort')])
    if (!ending.signal.aborted) await once(ending.signal, 'abort')
  } finally {
    await reader.close()
    await client.close()
  }
}

function print(chunk: FetchedChunk, codec: { decode(bytes: Buffer, from: number, to: number): unknown }): void {
  const { partition } = chunk
  visitRecords(chunk, ISOLATION, (offset, _timestampMs, bytes, _keyStart, _keyEnd, valueStart, valueEnd) => {
    console.log(JSON.stringify({ partition, offset, ...(codec.decode(bytes, valueStart, valueEnd) as object) }))
  })
}

void runCommand({
  usage: USAGE,
  options: { 'from-start': { type: 'boolean', default: false } } as const,
  positionals: true,
  run: async ({ values, positionals: [name, ...others] }) => {
    if (name === undefined || !Object.hasOwn(CODECS, name) || others.length > 0) {
      throw new StartError(`one of ${Object.keys(CODECS).join(', ')} is needed\n\n${USAGE}`)
    }
    await main(name as keyof typeof CODECS, values['from-start'] ? 'earliest' : 'latest')
  },
})
