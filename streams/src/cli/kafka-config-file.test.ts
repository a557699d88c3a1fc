import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readKafkaConfigFile } from './kafka-config-file.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'streams-cli-'))
})
afterEach(() => rm(directory, { recursive: true }))

async function read(content: unknown) {
  const file = join(directory, 'kafka.json')
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
  return readKafkaConfigFile(file)
}

const LOGIN = { mechanism: 'scram-sha-512', username: 'me', password: 'pa55word' }

it('reads brokers, TLS and login as KafkaConfig has them', async () => {
  const config = { brokers: ['k:9093'], ssl: { ca: 'PEM', servername: 'k' }, sasl: LOGIN, requestTimeoutMs: 1000 }
  expect(await read(config)).toEqual(config)
  expect(await read({ ssl: true })).toEqual({ ssl: true })
})

it.each([
  [{ broker: ['k:1'] }, /unknown entry 'broker'/],
  [{ brokers: 'k:1' }, /brokers must be a list/],
  [{ ssl: { rejectUnauthorized: 'no' } }, /ssl has an unknown entry 'rejectUnauthorized'/],
  [{ sasl: { ...LOGIN, mechanism: 'oauth' } }, /sasl.mechanism must be plain or/],
  [{ sasl: { ...LOGIN, username: undefined } }, /sasl.username must be a text/],
  [{ requestTimeoutMs: 'soon' }, /requestTimeoutMs must be whole milliseconds/],
  [[], /must be an object/],
])('says what is wrong with %j', async (content, why) => {
  await expect(read(content)).rejects.toThrow(why)
})

it('never shows what is in the file', async () => {
  const broken = `{ "sasl": { "password": pa55word } }`
  for (const content of [broken, { sasl: { ...LOGIN, username: 7 } }]) {
    const error = await read(content).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    )
    expect(error).toBeInstanceOf(Error)
    expect(error?.message).toContain('kafka.json')
    expect(error?.message).not.toContain('pa55word')
  }
})

it('says so when there is no such file', async () => {
  await expect(readKafkaConfigFile(join(directory, 'none.json'))).rejects.toThrow(/cannot be read/)
})
