import { expect, it } from 'vitest'
import { partitionFor } from '../kafka/partitioner.js'
import { json, utf8 } from '../serde.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore } from '../topology/stores.js'
import { TopologyTestDriver } from './topology-test-driver.js'

const sums = keyValueStore('sums', { key: utf8, value: json(Number) })

async function driverWith(partitions: number): Promise<TopologyTestDriver> {
  const builder = new StreamsBuilder()
  builder
    .stream('numbers', { key: utf8, value: json(Number) })
    .groupByKey()
    .count(sums)
  const driver = new TopologyTestDriver(builder.build(), { partitions })
  driver.pipe('numbers', { key: 'a', value: 1 })
  await driver.commit()
  return driver
}

it('shows the state of one partition, and wants to know which where there are several', async () => {
  const driver = await driverWith(4)
  expect(() => driver.view({ store: 'sums' })).toThrow(/one partition of 0 to 3: say which/)
  const partition = partitionFor(Buffer.from('a'), 4)
  expect(driver.view({ store: 'sums', partition }).keyValue(sums).get('a')).toBe(1)
  expect((await driverWith(1)).view().keyValue(sums).get('a')).toBe(1)
})
