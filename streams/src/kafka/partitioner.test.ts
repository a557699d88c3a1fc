import { expect, it } from 'vitest'
import { murmur2, partitionFor } from './partitioner.js'

it.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('hashes %s as Java does (org.apache.kafka.common.utils.UtilsTest.testMurmur2)', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash)
})

it('puts keys where Java’s producer puts them', () => {
  // Utils.toPositive(Utils.murmur2(key)) % 12, computed with kafka-clients 4.3.1
  const java = { AAPL: 9, MSFT: 6, 'BINANCE:BTCUSDT': 0, é: 3, '': 9 }
  const ours = Object.fromEntries(Object.keys(java).map((key) => [key, partitionFor(Buffer.from(key), 12)]))
  expect(ours).toEqual(java)
})
