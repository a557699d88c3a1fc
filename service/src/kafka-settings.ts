import { bool, list, SettingsError, str, type Settings } from './settings.js'

/** Where Kafka is and how to get in: the same for every process. */
export const KAFKA_SETTINGS = {
  KAFKA_BROKERS: list({ default: ['127.0.0.1:9092'], desc: 'host:port of one or more brokers, comma separated' }),
  KAFKA_SSL: bool({ default: false, desc: 'speak TLS to Kafka' }),
  KAFKA_SSL_CA_FILE: str({ default: '', desc: 'PEM file of the authority that signed the brokers’ certificates' }),
  KAFKA_SASL_MECHANISM: str({
    choices: ['', 'plain', 'scram-sha-256', 'scram-sha-512'],
    default: '',
    desc: 'how to log in to Kafka; empty = not at all',
  }),
  KAFKA_SASL_USERNAME: str({ default: '', desc: 'user for Kafka' }),
  KAFKA_SASL_PASSWORD: str({ default: '', desc: 'password for Kafka' }),
}

export interface KafkaConnectionSettings {
  brokers: readonly string[]
  clientId: string
  ssl?: boolean | { caFile: string }
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
}

/**
 * The settings as the Kafka client takes them.
 * @throws SettingsError for settings that only make sense together
 */
export function kafkaConfig(settings: Settings<typeof KAFKA_SETTINGS>, clientId: string): KafkaConnectionSettings {
  const mechanism = settings.KAFKA_SASL_MECHANISM as 'plain' | 'scram-sha-256' | 'scram-sha-512' | ''
  const mistakes: string[] = []
  if (settings.KAFKA_SSL_CA_FILE !== '' && !settings.KAFKA_SSL) {
    mistakes.push('KAFKA_SSL_CA_FILE: is for TLS only: set KAFKA_SSL=true too')
  }
  if (mechanism !== '' && (settings.KAFKA_SASL_USERNAME === '' || settings.KAFKA_SASL_PASSWORD === '')) {
    mistakes.push(`KAFKA_SASL_MECHANISM: ${mechanism} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`)
  }
  if (mistakes.length > 0) throw new SettingsError(mistakes)
  return {
    brokers: settings.KAFKA_BROKERS,
    clientId,
    ...(settings.KAFKA_SSL && {
      ssl: settings.KAFKA_SSL_CA_FILE === '' ? true : { caFile: settings.KAFKA_SSL_CA_FILE },
    }),
    ...(mechanism !== '' && {
      sasl: { mechanism, username: settings.KAFKA_SASL_USERNAME, password: settings.KAFKA_SASL_PASSWORD },
    }),
  }
}
