import { describe, expect, it } from 'vitest'
import { parseCommandLine } from './command-line.js'

const parse = (line: string) => parseCommandLine(line.split(' '))

describe('the command line', () => {
  it('takes a reset apart, and shows only what it would do unless it is told to', () => {
    expect(parse('reset --application-id app --brokers k1:9092,k2:9093')).toEqual({
      kind: 'reset',
      applicationId: 'app',
      brokers: ['k1:9092', 'k2:9093'],
      configFile: undefined,
      stateDirs: [],
      to: { kind: 'earliest' },
      execute: false,
    })
    expect(
      parse('reset --application-id app --config c.json --state-dir a --state-dir b --to none --execute'),
    ).toMatchObject({ configFile: 'c.json', stateDirs: ['a', 'b'], to: { kind: 'none' }, execute: true })
  })

  it('takes a description apart', () => {
    expect(parse('describe --application-id app --brokers [::1]:9092 --json')).toMatchObject({
      kind: 'describe',
      brokers: ['[::1]:9092'],
      json: true,
    })
  })

  it.each([
    ['2026-11-21T09:00:00Z', Date.UTC(2026, 10, 21, 9)],
    ['2026-11-21T09:00:00.250+01:00', Date.UTC(2026, 10, 21, 8, 0, 0, 250)],
    ['2026-11-21T09:00Z', Date.UTC(2026, 10, 21, 9)],
    ['2026-11-21', Date.UTC(2026, 10, 21)],
  ])('reads the time %s', (to, timestampMs) => {
    expect(parse(`reset --application-id a --brokers k:1 --to ${to}`)).toMatchObject({
      to: { kind: 'time', timestampMs },
    })
  })

  it.each([
    ['reset --application-id a --brokers k:1 --to yesterday', /neither earliest/],
    // Without a zone it would mean another moment on another machine.
    ['reset --application-id a --brokers k:1 --to 2026-11-21T09:00:00', /neither earliest/],
    ['reset --application-id a --brokers k:1 --to 2026-13-41', /neither earliest/],
    ['reset --application-id a --brokers k:1 --exceute', /exceute/],
    ['reset --application-id a --brokers k:1 more', /more/],
    ['reset --brokers k:1', /--application-id is missing/],
    ['describe --application-id a', /--brokers or --config is missing/],
    ['describe --application-id a --brokers k', /'k' is not host:port/],
    ['describe --application-id a --brokers k:1 --execute', /execute/],
    ['explain', /there is no command explain/],
  ])('refuses %s', (line, why) => {
    expect(() => parse(line)).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringMatching(why) }))
  })

  it('explains itself, and each command', () => {
    for (const [line, word] of [
      ['--help', 'describe'],
      ['reset --help', '--execute'],
      ['describe -h', '--json'],
    ] as const) {
      expect(parse(line)).toMatchObject({ kind: 'help', text: expect.stringContaining(word) })
    }
    expect(() => parseCommandLine([])).toThrow(/a command is missing/)
  })
})
