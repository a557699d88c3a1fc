import { json, KafkaStreams, keyValueStore, StreamsBuilder, utf8 } from '@candlewick/streams'

const text = { key: utf8, value: utf8 }
const builder = new StreamsBuilder()
builder
  .stream('lines', text)
  .flatMapValues((line) => line.toLowerCase().match(/\p{L}+/gu) ?? [])
  .selectKey((word) => word)
  .to('words', text) // equal words meet on one partition
const counts = keyValueStore('counts', { key: utf8, value: json(Number) })
builder.stream('words', text).groupByKey().count(counts).toStream().to('word-counts', counts)

const kafka = { brokers: [process.env.KAFKA_BROKERS ?? 'localhost:9092'], clientId: 'word-count' }
const log = { ...console, debug: () => undefined }
const app = new KafkaStreams(builder.build(), { applicationId: 'word-count', kafka, stateDir: './state', log })
app.onFatal(() => void app.close().finally(() => process.exit(1))) // why is in the log
process.once('SIGINT', () => void app.close())
process.once('SIGTERM', () => void app.close())
await app.start()
