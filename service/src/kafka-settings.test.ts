import { describe, expect, it } from 'vitest'
import { KAFKA_SETTINGS, kafkaConfig, kafkaSettingsBehind } from './kafka-settings.js'
import { readSettings } from './settings.js'

const config = (env: NodeJS.ProcessEnv) => kafkaConfig(readSettings(KAFKA_SETTINGS, env), 'test')

describe('the settings of Kafka', () => {
  it('take several brokers and no login by default', () => {
    expect(config({ KAFKA_BROKERS: 'a:9092, b:9092,' })).toEqual({ brokers: ['a:9092', 'b:9092'], clientId: 'test' })
  })

  it('take nothing that is not host:port', () => {
    expect(() => config({ KAFKA_BROKERS: 'a:9092,nonsense' })).toThrow(/KAFKA_BROKERS: .*host:port; wrong: nonsense/)
  })

  it('take TLS with an authority of your own, and a login', () => {
    const env = { KAFKA_SSL: 'true', KAFKA_SASL_MECHANISM: 'scram-sha-512' }
    expect(config({ ...env, KAFKA_SASL_USERNAME: 'me', KAFKA_SASL_PASSWORD: 'secret' })).toMatchObject({
      ssl: {},
      sasl: { mechanism: 'scram-sha-512', username: 'me', password: 'secret' },
    })
  })

  it('name the file that cannot be read, is none, or needs another one', () => {
    const wrong = { KAFKA_SSL: 'true', KAFKA_SSL_CA_FILE: '/nowhere/ca.pem', KAFKA_SSL_CERT_FILE: import.meta.filename }
    expect(() => config(wrong)).toThrow(/KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE: one needs the other/)
    expect(() => config(wrong)).toThrow(/KAFKA_SSL_CA_FILE: cannot read \/nowhere\/ca.pem \(ENOENT\)/)
    expect(() => config(wrong)).toThrow(/KAFKA_SSL_CERT_FILE: .* is no PEM file/)
  })

  it('tell all that does not fit together at once, without the password', () => {
    const env = { KAFKA_SSL_CA_FILE: '/ca.pem', KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_PASSWORD: 'secret' }
    expect(() => config(env)).toThrow(/KAFKA_SSL=true.*KAFKA_SASL_USERNAME/)
    expect(() => config(env)).not.toThrow(/secret/)
  })
})

describe('an error that comes of a setting', () => {
  it('is found in the chain of causes', () => {
    const refused = Object.assign(new Error('no'), { name: 'SASL_AUTHENTICATION_FAILED' })
    expect(kafkaSettingsBehind(new Error('cannot start', { cause: refused }))).toContain('KAFKA_SASL_PASSWORD')
    expect(kafkaSettingsBehind(new Error('cannot start'))).toBeUndefined()
  })
})
