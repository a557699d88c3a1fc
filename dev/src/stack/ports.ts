import { StartError } from '@candlewick/service/process'
import { freePorts, LOOPBACK, whyNoServer } from '../local/ports.js'
import type { LocalSettings } from '../settings.js'
import type { Part, Ports } from './plan.js'

/**
 * The ports the settings say.
 * @throws StartError when KAFKA_BROKERS names another machine: this stack brings its own Kafka
 */
export function portsOf(settings: LocalSettings, processors: number): Ports {
  const [broker = '', ...others] = settings.KAFKA_BROKERS
  const [, kafka] = /^(?:127\.0\.0\.1|localhost):(\d{1,5})$/.exec(broker) ?? []
  if (kafka === undefined || others.length > 0) {
    throw new StartError(
      `KAFKA_BROKERS is ${settings.KAFKA_BROKERS.join(',')}, but npm start brings its own Kafka: it may only say on which port, as ${LOOPBACK}:9092`,
    )
  }
  return {
    kafka: Number(kafka),
    cassandra: settings.CASSANDRA_PORT,
    api: settings.API_PORT,
    exchange: settings.EXCHANGE_PORT,
    producer: settings.PRODUCER_PORT,
    processors: Array.from({ length: processors }, (_, index) => settings.PROCESSOR_PORT + index),
  }
}

/** Ports that are free right now, so that any number of stacks can run on a machine. */
export async function pickPorts(processors: number): Promise<Ports> {
  const [kafka, cassandra, api, exchange, producer, ...others] = await freePorts(5 + processors)
  return {
    kafka: kafka!,
    cassandra: cassandra!,
    api: api!,
    exchange: exchange!,
    producer: producer!,
    processors: others,
  }
}

/**
 * Makes sure that all ports can be had, before anything is started.
 * @throws StartError that says of each which cannot why, and the setting that changes it
 */
export async function refuseTakenPorts(parts: readonly Part[]): Promise<void> {
  const listening = parts.filter((part) => part.port !== undefined)
  const same = listening.find(({ port }, index) => listening.findIndex((other) => other.port === port) !== index)
  if (same !== undefined)
    throw new StartError(`two settings give the same port ${same.port}: change ${same.portSetting}`)
  const reasons = await Promise.all(
    listening.map(async (part) => ({ part, reason: await whyNoServer(part.port!, part.host) })),
  )
  const taken = reasons.filter(({ reason }) => reason === 'EADDRINUSE').map(({ part }) => part)
  const others = reasons.filter(({ reason }) => reason !== undefined && reason !== 'EADDRINUSE')
  const problems = new Set(others.map(({ part, reason }) => problemOf(part, reason!)))
  if (taken.length > 0) {
    const subject = taken.length === 1 ? 'this port is' : 'these ports are'
    problems.add(`${subject} taken by another program: ${taken.map(asText).join(', ')}; end that, or set ${OTHER_PORT}`)
  }
  if (problems.size > 0) throw new StartError([...problems].join('\n'))
}

const OTHER_PORT = 'another port in .env'

function asText({ port, title, portSetting }: Part): string {
  return `${port} (${title}: ${portSetting})`
}

function problemOf(part: Part, reason: string): string {
  switch (reason) {
    case 'EACCES':
      return `the system does not allow us port ${asText(part)}: those below 1024 often need more rights; set ${OTHER_PORT}`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST is ${part.host}, which is no address of this machine (${reason}): 127.0.0.1 is for this machine alone, 0.0.0.0 for the network`
    default:
      return `cannot listen on ${part.host}, port ${asText(part)}: ${reason}`
  }
}
