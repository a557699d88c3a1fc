import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import { StartError } from '@candlewick/service/process'
import { readSettings } from '@candlewick/service/settings'
import { advertisedUrl, PROCESSOR_SETTINGS, readBarWindows, stateEngine } from './settings.js'

test('nothing has to be set', () => {
  const settings = readSettings(PROCESSOR_SETTINGS, {})
  expect(settings).toMatchObject({
    PROCESSOR_PORT: 8083,
    GUARANTEE: 'exactly-once',
    COMMIT_INTERVAL_MS: 100,
    STATE_ENGINE: 'leveldb',
    COMMIT_RECORDS: 20_000,
    CACHE_MB: 128,
    STANDBY_REPLICAS: 1,
    SINK: 'inside',
    DAY_TIME_ZONE: 'UTC',
  })
})

test('all mistakes are told at once', () => {
  expect(() =>
    readSettings(PROCESSOR_SETTINGS, { COMMIT_INTERVAL_MS: '1', SINK: 'outside', SESSION_TIMEOUT_MS: 'x' }),
  ).toThrow(/COMMIT_INTERVAL_MS.*SINK|SINK.*COMMIT_INTERVAL_MS/s)
})

test('the state engine is one that there is', () => {
  expect(() => readSettings(PROCESSOR_SETTINGS, { STATE_ENGINE: 'sqlite' })).toThrow(/STATE_ENGINE/)
  expect(stateEngine({ STATE_ENGINE: 'memory' })('').storage).toBeUndefined()
})

test.each(['Mars/Olympus', 'Asia/Kolkata'])('DAY_TIME_ZONE=%s is refused in one line', (zone) => {
  expect(() => readBarWindows({ DAY_TIME_ZONE: zone })).toThrow(StartError)
  expect(() => readBarWindows({ DAY_TIME_ZONE: zone })).toThrow('DAY_TIME_ZONE: ')
})

describe('the URL others reach it by', () => {
  const at = (HOST: string, ADVERTISED_URL = '') => advertisedUrl({ HOST, ADVERTISED_URL, PROCESSOR_PORT: 8083 })
  test('is where it listens', () => {
    expect(at('127.0.0.1')).toBe('http://127.0.0.1:8083')
    expect(at('::1')).toBe('http://[::1]:8083')
  })
  test('is the machine’s name when it listens everywhere', () => {
    expect(at('0.0.0.0')).toBe(`http://${hostname()}:8083`)
  })
  test('is what was set, if that is a URL', () => {
    expect(at('0.0.0.0', 'http://processor-1:8083')).toBe('http://processor-1:8083')
    expect(() => at('0.0.0.0', 'processor-1:8083')).toThrow(StartError)
    expect(() => at('0.0.0.0', 'no url')).toThrow(StartError)
  })
})
