import { bool, isHostAndPort, listOf, SettingsError, str, type Settings } from './settings.js'
import { readTls, type TlsTexts } from './tls-files.js'

/** Where Kafka is and how to get in: the same for every process. */
export const KAFKA_SETTINGS = {
  KAFKA_BROKERS: listOf(
    isHostAndPort,
    'host:port',
  )({ default: ['127.0.0.1:9092'], desc: 'host:port of one or more brokers, comma separated' }),
  KAFKA_SSL: bool({ default: false, desc: 'speak TLS to Kafka' }),
  KAFKA_SSL_CA_FILE: str({ default: '', desc: 'PEM file of the authority that signed the brokers’ certificates' }),
  KAFKA_SSL_CERT_FILE: str({ default: '', desc: 'PEM file of our own certificate, for brokers that ask for one' }),
  KAFKA_SSL_KEY_FILE: str({ default: '', desc: 'PEM file of its private key' }),
  KAFKA_SASL_MECHANISM: str({
    choices: ['', 'plain', 'scram-sha-256', 'scram-sha-512'],
    default: '',
    desc: 'how to log in to Kafka; empty = not at all',
  }),
  KAFKA_SASL_USERNAME: str({ default: '', desc: 'user for Kafka' }),
  KAFKA_SASL_PASSWORD: str({ default: '', desc: 'password for Kafka' }),
}

/** Plain data, so that it can be handed to a worker thread. Never log it: it holds the password and the private key. */
export interface KafkaConnectionSettings {
  brokers: readonly string[]
  clientId: string
  ssl?: TlsTexts
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
}

/**
 * The settings as the Kafka client takes them.
 * @throws SettingsError for settings that only make sense together, and for files that cannot be used
 */
export function kafkaConfig(settings: Settings<typeof KAFKA_SETTINGS>, clientId: string): KafkaConnectionSettings {
  const mechanism = settings.KAFKA_SASL_MECHANISM as 'plain' | 'scram-sha-256' | 'scram-sha-512' | ''
  const mistakes: string[] = []
  let ssl: TlsTexts | undefined
  try {
    ssl = readTls('KAFKA', {
      on: settings.KAFKA_SSL,
      caFile: settings.KAFKA_SSL_CA_FILE,
      certFile: settings.KAFKA_SSL_CERT_FILE,
      keyFile: settings.KAFKA_SSL_KEY_FILE,
    })
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    mistakes.push(...error.mistakes)
  }
  if (mechanism !== '' && (settings.KAFKA_SASL_USERNAME === '' || settings.KAFKA_SASL_PASSWORD === '')) {
    mistakes.push(`KAFKA_SASL_MECHANISM: ${mechanism} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`)
  }
  if (mistakes.length > 0) throw new SettingsError(mistakes)
  return {
    brokers: settings.KAFKA_BROKERS,
    clientId,
    ...(ssl !== undefined && { ssl }),
    ...(mechanism !== '' && {
      sasl: { mechanism, username: settings.KAFKA_SASL_USERNAME, password: settings.KAFKA_SASL_PASSWORD },
    }),
  }
}

/** Errors of streams/kafka, by name, that come of settings. */
const SETTINGS_BEHIND: Readonly<Record<string, string>> = {
  CONNECTION: 'KAFKA_BROKERS; should it be up, KAFKA_SSL and KAFKA_SASL_MECHANISM do not fit this listener',
  TLS_FAILED: 'KAFKA_SSL, KAFKA_SSL_CA_FILE, KAFKA_SSL_CERT_FILE',
  SASL_AUTHENTICATION_FAILED: 'KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD',
  UNSUPPORTED_SASL_MECHANISM: 'KAFKA_SASL_MECHANISM',
  ILLEGAL_SASL_STATE: 'KAFKA_SASL_MECHANISM, KAFKA_BROKERS (this listener takes no login)',
  TOPIC_AUTHORIZATION_FAILED: 'KAFKA_SASL_USERNAME (what this user may do on the brokers)',
  GROUP_AUTHORIZATION_FAILED: 'KAFKA_SASL_USERNAME (what this user may do on the brokers)',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'KAFKA_SASL_USERNAME (what this user may do on the brokers)',
  CLUSTER_AUTHORIZATION_FAILED: 'KAFKA_SASL_USERNAME (what this user may do on the brokers)',
}

/** The settings to look at when Kafka refuses us, if `error` or one of its causes says so. */
export function kafkaSettingsBehind(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const settings = SETTINGS_BEHIND[cause.name]
    if (settings !== undefined) return settings
  }
  return undefined
}
