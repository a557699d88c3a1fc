import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import { messageOf } from '../errors.js'
import type { KafkaConfig, SaslOptions } from '../kafka/config.js'
import { CliError } from './failure.js'

type Entries = Readonly<Record<string, unknown>>

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512']

/**
 * Reads a KafkaConfig from a JSON file, so that secrets are on no command line.
 * @throws CliError naming what is wrong in it; never with the secrets themselves
 */
export async function readKafkaConfigFile(file: string): Promise<Partial<KafkaConfig>> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new CliError(`--config ${file} cannot be read (${messageOf(error)})`, 1, { cause: error })
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // Node's own message quotes the text, which may be a password.
    throw new CliError(`--config ${file} is no JSON`)
  }
  try {
    return parse(json)
  } catch (error) {
    throw new CliError(`--config ${file}: ${messageOf(error)}`, 1, { cause: error })
  }
}

function parse(json: unknown): Partial<KafkaConfig> {
  const entries = record(json, 'it')
  onlyKeys(entries, 'it', ['brokers', 'clientId', 'ssl', 'sasl', 'requestTimeoutMs', 'connectionTimeoutMs'])
  const { brokers, ssl, sasl, clientId } = entries
  const isList = Array.isArray(brokers) && brokers.every((broker) => typeof broker === 'string')
  if (brokers !== undefined && !isList) throw new TypeError('brokers must be a list of host:port')
  return {
    ...(brokers !== undefined && { brokers: brokers as string[] }),
    ...(clientId !== undefined && { clientId: text(clientId, 'clientId') }),
    ...(ssl !== undefined && { ssl: parseSsl(ssl) }),
    ...(sasl !== undefined && { sasl: parseSasl(sasl) }),
    ...timeout(entries, 'requestTimeoutMs'),
    ...timeout(entries, 'connectionTimeoutMs'),
  }
}

function parseSsl(ssl: unknown): boolean | ConnectionOptions {
  if (typeof ssl === 'boolean') return ssl
  const entries = record(ssl, 'ssl')
  onlyKeys(entries, 'ssl', ['ca', 'cert', 'key', 'servername'])
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, text(value, `ssl.${name}`)]))
}

function parseSasl(sasl: unknown): SaslOptions {
  const entries = record(sasl, 'sasl')
  onlyKeys(entries, 'sasl', ['mechanism', 'username', 'password'])
  const { mechanism } = entries
  if (!MECHANISMS.includes(mechanism as string))
    throw new TypeError(`sasl.mechanism must be ${MECHANISMS.join(' or ')}`)
  return {
    mechanism: mechanism as SaslOptions['mechanism'],
    username: text(entries['username'], 'sasl.username'),
    password: text(entries['password'], 'sasl.password'),
  }
}

function record(value: unknown, name: string): Entries {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${name} must be an object`)
  return value as Entries
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '') throw new TypeError(`${name} must be a text`)
  return value
}

function timeout<Name extends string>(entries: Entries, name: Name): { [name in Name]?: number } {
  const value = entries[name]
  if (value === undefined) return {}
  if (!Number.isInteger(value) || (value as number) < 1)
    throw new TypeError(`${name} must be whole milliseconds above 0`)
  return { [name]: value } as { [name in Name]: number }
}

function onlyKeys(entries: Entries, name: string, known: readonly string[]): void {
  const unknown = Object.keys(entries).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw new TypeError(`${name} has an unknown entry '${unknown}' (known: ${known.join(', ')})`)
}
