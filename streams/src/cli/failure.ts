import { StreamsError } from '../errors.js'
import { KafkaError } from '../kafka/errors.js'

/** Something the user can mend, told in one sentence. */
export class CliError extends Error {
  constructor(
    message: string,
    readonly exitCode: 1 | 2 = 1,
    options?: { cause?: unknown },
  ) {
    super(message, options)
    this.name = 'CliError'
  }
}

/** What went wrong as one sentence, with what to do where that is known; undefined for a mistake in this program. */
export function sentenceOf(error: unknown): string | undefined {
  if (error instanceof CliError || error instanceof StreamsError) return error.message
  if (!(error instanceof KafkaError)) return undefined
  const { name, message, concerns } = error
  const at = concerns.broker ?? 'these brokers'
  const what = concerns.topic !== undefined ? `topic ${concerns.topic}` : `group ${concerns.groupId ?? ''}`
  switch (name) {
    case 'CONNECTION':
    case 'REQUEST_TIMED_OUT':
      return `no Kafka answers at ${at}: check --brokers, and whether it wants TLS or a login (--config) (${message})`
    case 'TLS_FAILED':
      return `${at} and this command do not accept each other's certificates: check ssl in --config (${message})`
    case 'SASL_AUTHENTICATION_FAILED':
    case 'UNSUPPORTED_SASL_MECHANISM':
    case 'ILLEGAL_SASL_STATE':
      return `the login was refused: check sasl in --config (${message})`
    case 'TOPIC_AUTHORIZATION_FAILED':
    case 'GROUP_AUTHORIZATION_FAILED':
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return (
        `this user has no right to do that on ${what}: describe needs Describe on the group and its topics, reset also ` +
        `Read and Delete on the group, Read on its input topics and Delete on its internal topics (${message})`
      )
    default:
      return message
  }
}
