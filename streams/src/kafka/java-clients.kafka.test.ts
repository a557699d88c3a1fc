import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ensureJars } from '@candlewick/dev/local/jars'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { fetchRequest } from './protocol/fetch.js'
import { COMPRESSIONS } from './records/compression.js'
import { readHeaders, visitRecords } from './records/decode.js'
import { RecordAccumulator } from './records/encode.js'
import type { PlainRecord } from './records/rebuild.js'
import { codecsOf } from './testing/codecs-of.js'
import { RealKafka } from './testing/real-kafka.js'
import { TransactionalProducer } from './transactional-producer.js'

let kafka: RealKafka
beforeAll(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
})
afterAll(() => kafka.close())

/** Small ones, empty ones, and one that takes several blocks in every format. */
function samples(): PlainRecord[] {
  const trades = Array.from({ length: 2000 }, (_, i): PlainRecord => {
    const value = i % 50 === 0 ? null : Buffer.from(`{"symbol":"S${i % 7}","price":${(i * 7919) % 1000},"n":${i}}`)
    const headers = i % 10 === 0 ? [{ key: 'traceparent', value: Buffer.from(`00-${i}`) }] : []
    return {
      key: i % 3 === 0 ? null : Buffer.from(`key-${i % 100}`),
      value,
      timestampMs: 1_700_000_000_000 - i,
      headers,
    }
  })
  const long = Buffer.from(Array.from({ length: 30_000 }, (_, i) => `${(i * i) % 9973};`).join(''))
  const headers = [
    { key: 'ünï', value: null },
    { key: '', value: Buffer.alloc(0) },
  ]
  return [...trades, { key: Buffer.alloc(0), value: long, timestampMs: 1_700_000_000_001, headers }]
}

const lineOf = (partition: number, { timestampMs, key, value, headers }: PlainRecord) => {
  const shown = (bytes: Buffer | null) => (bytes === null ? '-' : `=${bytes.toString('base64')}`)
  const rest = headers.flatMap((header) => [shown(Buffer.from(header.key)), shown(header.value)])
  return [partition, timestampMs, shown(key), shown(value), ...rest].join(' ')
}

/** Every record of a partition as a line. */
async function read(topic: string, partition: number): Promise<string[]> {
  const lines: string[] = []
  const end = (await kafka.admin.listOffsets(topic, [partition], 'latest', 'read_committed')).get(partition)!
  for (let position = 0; position < end;) {
    const request = fetchRequest({
      ...{ isolation: 'read_committed', maxWaitMs: 100, minBytes: 1, maxBytes: 8 << 20 },
      partitions: [{ topic, partition, offset: position, maxBytes: 8 << 20 }],
    })
    const answer = await kafka.client.send(await kafka.client.leaderOf(topic, partition), request)
    const chunk = { ...answer.partitions[0]!, fetchOffset: position }
    position = visitRecords(
      chunk,
      'read_committed',
      (_offset, timestampMs, bytes, keyStart, keyEnd, start, stop, at) => {
        const key = keyEnd < keyStart ? null : bytes.subarray(keyStart, keyEnd)
        const value = stop < start ? null : bytes.subarray(start, stop)
        lines.push(lineOf(partition, { timestampMs, key, value, headers: readHeaders(bytes, at) }))
      },
    )
  }
  return lines
}

it('Java reads every record we write and we read every record Java writes, with every codec', async () => {
  const ours = await kafka.topic(COMPRESSIONS.length)
  const javas = await kafka.topic(COMPRESSIONS.length)
  const records = samples()
  const txn = new TransactionalProducer(kafka.client, {
    ...{ transactionalId: kafka.name('txn'), transactionTimeoutMs: 10_000 },
  })
  await txn.init()
  for (const [partition, compression] of COMPRESSIONS.entries()) {
    const batch = new RecordAccumulator({ compression })
    for (const { key, value, timestampMs, headers } of records) {
      batch.append(ours, partition, key, value, timestampMs, headers)
    }
    await txn.produce(batch)
  }
  await txn.end('commit')

  const program = new URL('./testing/EchoRecords.java', import.meta.url).pathname
  const classPath = join(await ensureJars('kafka'), '*')
  const argv = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', classPath, program, inject('kafkaBrokers'), ours]
  const { stdout } = await promisify(execFile)('java', [...argv, `${COMPRESSIONS.length}`, javas, ...COMPRESSIONS], {
    maxBuffer: 64 << 20,
    env: { ...process.env, JAVA_TOOL_OPTIONS: '-Dorg.slf4j.simpleLogger.defaultLogLevel=error' },
  })
  const javaRead = stdout.trimEnd().split('\n')
  for (const [partition, compression] of COMPRESSIONS.entries()) {
    const expected = records.map((record) => lineOf(partition, record))
    expect(javaRead.filter((line) => line.startsWith(`${partition} `))).toEqual(expected)
    for (const topic of [ours, javas]) {
      expect(await read(topic, partition)).toEqual(expected)
      expect([...(await codecsOf(kafka.client, topic, partition))]).toEqual([compression])
    }
  }
})
