import { LOOPBACK } from './ports.js'

/** What a broker needs for TLS and logins; PEM files, made by whoever starts it. */
export interface KafkaSecurity {
  /** Key and certificate of the broker in one file. */
  storeFile: string
  /** The authority whose clients may come in by certificate. */
  caFile: string
  /** Passwords by user, for SCRAM-SHA-512 and PLAIN alike. */
  users: Readonly<Record<string, string>>
  /** After this long a client has to log in again on the same connection (KIP-368). Default: never. */
  maxReauthMs?: number
}

/** For KAFKA_BROKERS. */
export interface SecureBrokers {
  /** SASL_SSL: TLS and a login. */
  login: string
  /** SSL: TLS and a certificate of the client. */
  certificate: string
}

export interface SecureListeners {
  listeners: readonly { name: string; protocol: string; port: number }[]
  properties: Readonly<Record<string, string>>
  brokers: SecureBrokers
}

/** The listeners and the settings of the broker that go with them. */
export function secureListeners(
  { storeFile, caFile, users, maxReauthMs = 0 }: KafkaSecurity,
  { loginPort, certificatePort }: { loginPort: number; certificatePort: number },
): SecureListeners {
  const known = Object.entries(users).map(([user, password]) => ` user_${user}="${password}"`)
  const modules = 'org.apache.kafka.common.security'
  return {
    listeners: [
      { name: 'LOGIN', protocol: 'SASL_SSL', port: loginPort },
      { name: 'CERTIFICATE', protocol: 'SSL', port: certificatePort },
    ],
    properties: {
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': storeFile,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': caFile,
      'listener.name.certificate.ssl.client.auth': 'required',
      'sasl.enabled.mechanisms': 'SCRAM-SHA-512,PLAIN',
      'listener.name.login.scram-sha-512.sasl.jaas.config': `${modules}.scram.ScramLoginModule required;`,
      'listener.name.login.plain.sasl.jaas.config': `${modules}.plain.PlainLoginModule required${known.join('')};`,
      'listener.name.login.connections.max.reauth.ms': String(maxReauthMs),
    },
    brokers: { login: `${LOOPBACK}:${loginPort}`, certificate: `${LOOPBACK}:${certificatePort}` },
  }
}

/** The users that formatting the storage writes into the cluster's metadata. */
export function scramArguments(users: Readonly<Record<string, string>>): string[] {
  return Object.entries(users).flatMap(([user, password]) => [
    '--add-scram',
    `SCRAM-SHA-512=[name=${user},password=${password}]`,
  ])
}
