import { readSettings, SettingsError } from '@candlewick/service/settings'
import { expect, test } from 'vitest'
import { cassandraConfig, CASSANDRA_SETTINGS, MIGRATION_SETTINGS, tableOptions } from './settings.js'

const SPEC = { ...CASSANDRA_SETTINGS, ...MIGRATION_SETTINGS }

test('without settings it is one node on this machine', () => {
  const settings = readSettings(SPEC, {})
  expect(cassandraConfig(settings)).toEqual({
    contactPoints: ['127.0.0.1'],
    port: 9042,
    keyspace: 'market',
    localDataCenter: 'datacenter1',
    consistency: 'LOCAL_QUORUM',
  })
  expect(tableOptions(settings)).toEqual({
    replication: { class: 'SimpleStrategy', factor: 1 },
    tradesTtlDays: 30,
    averagesTtlDays: 90,
  })
})

test('a cluster with login, TLS and replication over data centers is settings alone', () => {
  const settings = readSettings(SPEC, {
    CASSANDRA_CONTACT_POINTS: 'a:9142, b',
    CASSANDRA_USERNAME: 'candlewick',
    CASSANDRA_PASSWORD: 'secret',
    CASSANDRA_SSL: 'true',
    CASSANDRA_REPLICATION: 'east:3, west:2',
    CASSANDRA_CONSISTENCY: 'QUORUM',
  })
  expect(cassandraConfig(settings)).toMatchObject({
    contactPoints: ['a:9142', 'b'],
    login: { username: 'candlewick', password: 'secret' },
    tls: {},
    consistency: 'QUORUM',
  })
  expect(tableOptions(settings).replication).toEqual({
    class: 'NetworkTopologyStrategy',
    factors: { east: 3, west: 2 },
  })
})

test('all mistakes are told at once', () => {
  const wrong = () =>
    readSettings(SPEC, {
      CASSANDRA_KEYSPACE: 'market; DROP',
      CASSANDRA_CONSISTENCY: 'SOME',
      CASSANDRA_REPLICATION: 'three',
      TRADES_TTL_DAYS: '-1',
    })
  expect(wrong).toThrow(SettingsError)
  expect(wrong).toThrow(/CASSANDRA_KEYSPACE.*CASSANDRA_CONSISTENCY.*CASSANDRA_REPLICATION.*TRADES_TTL_DAYS/)
})

test('a CA file that cannot be read is named', () => {
  const settings = readSettings(SPEC, { CASSANDRA_SSL: 'true', CASSANDRA_SSL_CA_FILE: '/nowhere/ca.pem' })
  expect(() => cassandraConfig(settings)).toThrow('CASSANDRA_SSL_CA_FILE: cannot read /nowhere/ca.pem')
})
