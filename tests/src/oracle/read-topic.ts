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
  keyBytes: Buffer | null
  value: Buffer | null
  /** As texts; undefined when there are none. */
  headers: ReadonlyMap<string, string> | undefined
}

/**
 * Reads a whole topic, from the beginning to its end as it is now, with Kafka's own Java consumer: committed records
 * only, in the order of each partition. Shares no code with streams/kafka.
 * @returns how many records there were
 */
export function readTopic(brokers: string, topic: string, onRecord: (record: TopicRecord) => void): Promise<number> {
  return readTopics(brokers, { [topic]: onRecord })
}

/** The same for several topics, one after the other in the order given. */
export async function readTopics(
  brokers: string,
  readers: Readonly<Record<string, (record: TopicRecord) => void>>,
): Promise<number> {
  const program = new URL('../../src/oracle/DumpTopic.java', import.meta.url).pathname
  const classPath = join(await ensureJars('kafka'), '*')
  const topics = Object.keys(readers)
  const java = spawn('java', ['-Xmx256m', '-cp', classPath, program, brokers, ...topics], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, JAVA_TOOL_OPTIONS: '-Dorg.slf4j.simpleLogger.defaultLogLevel=error' },
  })
  const ended = once(java, 'close') as Promise<[number | null]>
  let complaints = ''
  java.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-4_000)))
  let count = 0
  for await (const line of createInterface({ input: java.stdout })) {
    const [topic, partition, offset, key, value, headers] = line.split(' ')
    const keyBytes = bytesOf(key!)
    count++
    readers[topic!]!({
      partition: Number(partition),
      offset: Number(offset),
      key: keyBytes?.toString('utf8') ?? null,
      keyBytes,
      value: bytesOf(value!),
      headers: headers === '-' ? undefined : headersOf(headers!),
    })
  }
  const [code] = await ended
  if (code !== 0) throw new Error(`reading ${topics.join(', ')} with Java failed (${code}):\n${complaints}`)
  return count
}

function bytesOf(text: string): Buffer | null {
  return text === '-' ? null : Buffer.from(text, 'base64')
}

/** Names of headers hold neither a comma nor an equals sign here. */
function headersOf(text: string): Map<string, string> {
  return new Map(
    text.split(',').map((header): [string, string] => {
      const end = header.indexOf('=')
      return [header.slice(0, end), bytesOf(header.slice(end + 1))?.toString('utf8') ?? '']
    }),
  )
}

/** Decodes one of the project's Avro records from Confluent's wire format: a zero, four bytes of schema id, the value. */
export function avroReader<T>(name: 'trade' | 'average' | 'bar'): (value: Buffer) => T {
  const file = new URL(`../../../schemas/${name}.avsc`, import.meta.url)
  const type = avsc.Type.forSchema(JSON.parse(readFileSync(file, 'utf8')) as avsc.Schema)
  return (value) => type.fromBuffer(value.subarray(5)) as T
}
