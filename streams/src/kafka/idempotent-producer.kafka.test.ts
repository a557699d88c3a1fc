import { afterEach, beforeEach, expect, inject, it } from 'vitest'
import { IdempotentProducer } from './idempotent-producer.js'
import type { IdempotentProducerOptions, RejectedRecord } from './idempotent-producer-options.js'
import { COMPRESSIONS } from './records/compression.js'
import { PATIENT, RealKafka } from './testing/real-kafka.js'

let kafka: RealKafka
beforeEach(async () => {
  kafka = new RealKafka(inject('kafkaBrokers'))
  await kafka.client.connect()
})
afterEach(() => kafka.close())

async function started(options: Partial<IdempotentProducerOptions> = {}) {
  const rejected: RejectedRecord[] = []
  const reasons = new Set<string>()
  const producer = new IdempotentProducer(kafka.client, {
    maxBufferedBytes: 4 * 1024 * 1024,
    onRejected: (records, error) => {
      rejected.push(...records)
      reasons.add(error.name)
    },
    ...options,
  })
  await producer.start()
  return { producer, rejected, reasons }
}

it('keeps the order and writes nothing twice while connections are cut again and again', async () => {
  const topic = await kafka.topic(3)
  let delivered = 0
  const { producer, rejected } = await started({ onDelivered: (count) => (delivered += count) })
  const total = 150_000
  const cutting = setInterval(() => void kafka.cutConnections(), 60)
  try {
    for (let i = 0; i < total; i++) {
      while (!producer.send(topic, i % 3, null, Buffer.from(`${i}`), Date.now())) {
        await producer.whenBelow(2 * 1024 * 1024)
      }
      if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  } finally {
    clearInterval(cutting)
  }
  await producer.flush()
  expect(delivered).toBe(total)
  expect(rejected).toEqual([])
  for (const partition of [0, 1, 2]) {
    const numbers = (await kafka.values(topic, partition)).map(Number)
    expect(numbers).toEqual(Array.from({ length: total / 3 }, (_, index) => index * 3 + partition))
  }
  await producer.close()
})

it.each(COMPRESSIONS)('delivers keys, nulls, headers and times, compression %s', async (compression) => {
  const topic = await kafka.topic(1)
  const { producer } = await started({ compression })
  producer.send(topic, null, Buffer.from('AAPL'), Buffer.from('first'), 1234, [{ key: 'h', value: Buffer.from('v') }])
  producer.send(topic, null, null, null, 1234)
  producer.send(topic, null, Buffer.alloc(0), Buffer.from('third'), 1234)
  await producer.close()
  expect(await kafka.values(topic, 0)).toEqual(['first', '', 'third'])
})

it('gives back only the record that is too large for the topic', async () => {
  const topic = await kafka.topic(1, { 'max.message.bytes': '2000' })
  const { producer, rejected, reasons } = await started()
  const sizes = [10, 20, 5000, 30, 1500, 1600, 40]
  for (const size of sizes) producer.send(topic, 0, null, Buffer.alloc(size, 'x'), Date.now())
  await producer.flush()
  expect(rejected.map(({ value }) => value?.length)).toEqual([5000])
  expect([...reasons]).toEqual(['MESSAGE_TOO_LARGE'])
  expect((await kafka.values(topic, 0)).map(({ length }) => length)).toEqual(sizes.filter((size) => size !== 5000))
  await producer.close()
})

it('gives back only the records whose time the topic does not take', async () => {
  const topic = await kafka.topic(1, { 'message.timestamp.before.max.ms': '3600000' })
  const { producer, rejected, reasons } = await started()
  const now = Date.now()
  const times = [now, now - 7_200_000, now, now - 7_200_000, now]
  times.forEach((timestampMs, index) => producer.send(topic, 0, null, Buffer.from(`${index}`), timestampMs))
  await producer.flush()
  expect(rejected.map(({ value }) => value?.toString())).toEqual(['1', '3'])
  expect([...reasons]).toEqual(['INVALID_TIMESTAMP'])
  expect(await kafka.values(topic, 0)).toEqual(['0', '2', '4'])
  await producer.close()
})

it('goes on when a topic is deleted and made again under its name', async () => {
  const topic = await kafka.topic(1)
  const { producer } = await started()
  producer.send(topic, 0, null, Buffer.from('before'), Date.now())
  await producer.flush()
  await kafka.admin.deleteTopics([topic])
  producer.send(topic, 0, null, Buffer.from('meanwhile'), Date.now())
  await expect.poll(() => kafka.log.count('producing fails, retrying'), PATIENT).toBe(1)
  await kafka.admin.createTopics([{ name: topic, partitions: 1 }])
  await producer.flush()
  expect(await kafka.values(topic, 0)).toEqual(['meanwhile'])
  expect(kafka.log.count('producing works again')).toBe(1)
  await producer.close()
})
