import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import avsc from 'avsc'
import { ensureJars } from '@candlewick/dev/local/jars'

export interface TopicRecord {
  partition: number
  offset: number
  key: string | null
  value: Buffer | null
}

/**
 * Reads a whole topic, from the beginning to its end as it is now, with Kafka's own Java consumer: committed records
 * only, in the order of each partition. Shares no code with streams/kafka.
 * @returns how many records there were
 */
export async function readTopic(
  brokers: string,
  topic: string,
  onRecord: (record: TopicRecord) => void,
): Promise<number> {
  const program = new URL('../../src/oracle/DumpTopic.java', import.meta.url).pathname
  const classPath = join(await ensureJars('kafka'), '*')
  const java = spawn('java', ['-Xmx256m', '-cp', classPath, program, brokers, topic], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, JAVA_TOOL_OPTIONS: '-Dorg.slf4j.simpleLogger.defaultLogLevel=error' },
  })
  const ended = once(java, 'close') as Promise<[number | null]>
  let complaints = ''
  java.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-4_000)))
  let count = 0
  for await (const line of createInterface({ input: java.stdout })) {
    const [partition, offset, key, value] = line.split(' ')
    count++
    onRecord({
      partition: Number(partition),
      offset: Number(offset),
      key: key === '-' ? null : Buffer.from(key!, 'base64').toString('utf8'),
      value: value === '-' ? null : Buffer.from(value!, 'base64'),
    })
  }
  const [code] = await ended
  if (code !== 0) throw new Error(`reading ${topic} with Java failed (${code}):\n${complaints}`)
  return count
}

/** Decodes one of the project's Avro records from Confluent's wire format: a zero, four bytes of schema id, the value. */
export function avroReader<T>(name: 'trade' | 'average' | 'bar'): (value: Buffer) => T {
  const file = new URL(`../../../schemas/${name}.avsc`, import.meta.url)
  const type = avsc.Type.forSchema(JSON.parse(readFileSync(file, 'utf8')) as avsc.Schema)
  return (value) => type.fromBuffer(value.subarray(5)) as T
}
