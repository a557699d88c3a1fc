import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { readSettings } from '@candlewick/service/settings'
import { expect, onTestFinished, test } from 'vitest'
import { LOCAL_SETTINGS } from '../settings.js'
import { planStack } from './plan.js'
import { pickPorts, portsOf, refuseTakenPorts } from './ports.js'

test('the ports are those of the settings, the processors one after the other', () => {
  const ports = portsOf(readSettings(LOCAL_SETTINGS, { KAFKA_BROKERS: 'localhost:9192', API_PORT: '9000' }), 3)
  expect(ports).toEqual({
    kafka: 9192,
    cassandra: 9042,
    api: 9000,
    exchange: 8081,
    producer: 8082,
    processors: [8083, 8084, 8085],
  })
})

test.each(['kafka.example.com:9092', '127.0.0.1:9092,127.0.0.1:9093', '127.0.0.1'])(
  'KAFKA_BROKERS=%s is refused: the stack brings its own Kafka',
  (brokers) => {
    expect(() => portsOf(readSettings(LOCAL_SETTINGS, { KAFKA_BROKERS: brokers }), 1)).toThrow(/brings its own Kafka/)
  },
)

test('a taken port is told with the setting that changes it, before anything starts', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ports = await pickPorts(1)
  const plan = { dir: '/x', host: '127.0.0.1', exchange: {}, symbolsAreSet: false }
  await expect(refuseTakenPorts(planStack({ ...plan, ports }))).resolves.toBeUndefined()
  await expect(refuseTakenPorts(planStack({ ...plan, ports: { ...ports, api: port } }))).rejects.toThrow(
    `this port is taken by another program: ${port} (the API and the page: API_PORT)`,
  )
  await expect(refuseTakenPorts(planStack({ ...plan, ports: { ...ports, api: ports.kafka } }))).rejects.toThrow(
    `two settings give the same port ${ports.kafka}`,
  )
})

test.each(['no-such-host.invalid', '192.0.2.1'])('HOST=%s is told as such, not as taken ports', async (host) => {
  const parts = planStack({ dir: '/x', ports: await pickPorts(1), host, exchange: {}, symbolsAreSet: false })
  const refused = refuseTakenPorts(parts)
  await expect(refused).rejects.toThrow(`HOST is ${host}, which is no address of this machine`)
  await expect(refused).rejects.not.toThrow(/taken/)
})
