import { expect, test } from 'vitest'
import { planStack, stopGroups, type PlanOptions } from './plan.js'

const PORTS = { kafka: 1, cassandra: 2, api: 3, exchange: 4, producer: 5, processors: [6, 7] }
const OPTIONS: PlanOptions = { dir: '/data', ports: PORTS, host: '127.0.0.1', exchange: {}, symbolsAreSet: false }

function part(options: Partial<PlanOptions>, name: string) {
  return planStack({ ...OPTIONS, ...options }).find((candidate) => candidate.name === name)
}

test('every part can start: what it needs is there and comes before it', () => {
  for (const exchange of [{}, false] as const) {
    const started = new Set<string>()
    const waiting = planStack({ ...OPTIONS, exchange })
    while (waiting.length > 0) {
      const next = waiting.findIndex(({ after }) => after.every((name) => started.has(name)))
      expect(next).not.toBe(-1)
      started.add(waiting.splice(next, 1)[0]!.name)
    }
  }
})

test('processors have an id, a port and a state folder each', () => {
  expect(part({}, 'processor-1')?.env).toEqual({
    PROCESSOR_PORT: '6',
    INSTANCE_ID: 'processor-1',
    STATE_DIR: '/data/processor-1',
    ADVERTISED_URL: 'http://127.0.0.1:6',
  })
  expect(part({ host: '0.0.0.0' }, 'processor-2')?.env['ADVERTISED_URL']).toBe('http://127.0.0.1:7')
})

test('the producer listens to the exchange, to all its symbols unless SYMBOLS says which', () => {
  expect(part({}, 'producer')?.env).toMatchObject({ FINNHUB_URL: 'ws://127.0.0.1:4', SYMBOLS: '*' })
  expect(part({ symbolsAreSet: true }, 'producer')?.env).not.toHaveProperty('SYMBOLS')
})

test('with the real Finnhub there is no exchange, and the feed is as the settings say', () => {
  expect(part({ exchange: false }, 'exchange')).toBeUndefined()
  expect(part({ exchange: false }, 'producer')?.env).toEqual({ PRODUCER_PORT: '5' })
})

test('Kafka and Cassandra listen for this machine alone, whatever HOST says', () => {
  const hosts = planStack({ ...OPTIONS, host: '0.0.0.0' }).map(({ name, host }) => [name, host])
  expect(hosts).toContainEqual(['kafka', '127.0.0.1'])
  expect(hosts).toContainEqual(['cassandra', '127.0.0.1'])
  expect(hosts).toContainEqual(['query-api', '0.0.0.0'])
})

test('all ends in order, and nothing is forgotten', () => {
  const plan = planStack(OPTIONS)
  const groups = stopGroups(plan).map((group) => group.map(({ name }) => name))
  expect(groups.flat().sort()).toEqual(plan.map(({ name }) => name).sort())
  expect(groups.slice(-6)).toEqual([
    ['producer'],
    ['exchange'],
    ['query-api'],
    ['processor-1', 'processor-2'],
    ['cassandra'],
    ['kafka'],
  ])
})
