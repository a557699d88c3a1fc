import { expect, test } from 'vitest'
import { checkSettings, StartError } from './process.js'
import { integer, isHostAndPort, listOf, positive, SettingsError } from './settings.js'

const settings = { RATE: positive({ default: 1 }), PAIRS: integer(1)({ default: 2 }) }

test('settings are read, and every check looks at them', () => {
  const seen: unknown[] = []
  const outcome = checkSettings({ settings, checks: [(read) => seen.push(read.RATE)] }, { RATE: '2.5' })
  expect(outcome).toMatchObject({ settings: { RATE: 2.5, PAIRS: 2, HOST: '127.0.0.1' } })
  expect(seen).toEqual([2.5])
})

test('what is wrong with single settings is told at once', () => {
  expect(checkSettings({ settings }, { RATE: '0', PAIRS: 'many' })).toEqual({
    mistakes: ['RATE: must be a number above 0', 'PAIRS: must be a whole number from 1'],
  })
})

test('what is wrong with settings together is told at once, each mistake once; anything else is a bug and thrown', () => {
  const checks = [
    () => {
      throw new StartError('RATE needs PAIRS')
    },
    () => undefined,
    () => {
      throw new SettingsError(['RATE needs PAIRS', 'no such file'])
    },
  ]
  expect(checkSettings({ settings, checks }, {})).toEqual({ mistakes: ['RATE needs PAIRS', 'no such file'] })
  const broken = () => {
    throw new TypeError('a bug')
  }
  expect(() => checkSettings({ settings, checks: [broken] }, {})).toThrow('a bug')
})

test('a list says which of its items are wrong', () => {
  const brokers = { BROKERS: listOf(isHostAndPort, 'host:port')({ default: [] as string[] }) }
  expect(checkSettings({ settings: brokers }, { BROKERS: 'a:9092, b:1,a:9092' })).toMatchObject({
    settings: { BROKERS: ['a:9092', 'b:1'] },
  })
  expect(checkSettings({ settings: brokers }, { BROKERS: 'a:9092,nonsense,b:0,c:70000,http://d:1' })).toEqual({
    mistakes: ['BROKERS: each must be host:port; wrong: nonsense, b:0, c:70000, http://d:1'],
  })
})
