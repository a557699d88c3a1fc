import { describe, expect, it } from 'vitest'
import { json, utf8 } from '../serde.js'
import { StreamsBuilder } from '../topology/builder.js'
import { keyValueStore, windowStore } from '../topology/stores.js'
import { tumbling } from '../topology/windows.js'
import { changelogSpecs, unfitSettings } from './changelog-topics.js'

const DAY_MS = 86_400_000

const builder = new StreamsBuilder()
const count = () => 0
builder
  .stream('payments', { key: utf8, value: utf8 })
  .groupByKey()
  .aggregate(keyValueStore('sums', { key: utf8, value: json<number>(), ttlMs: 1_000 }), count, count)
builder
  .stream('trades', { key: utf8, value: utf8 })
  .groupByKey()
  .windowedBy(tumbling({ sizeMs: 60_000, graceMs: 0 }))
  .aggregate(windowStore('minutes', { key: utf8, value: json<number>(), retentionMs: 3 * DAY_MS }), count, count)
const partitions = new Map([
  [0, 4],
  [1, 12],
])
const [sums, minutes] = changelogSpecs('app', builder.build(), partitions, 3)

describe('the changelog', () => {
  it('of keys is compacted and never deleted, by the broker’s clock, and keeps tombstones for a day', () => {
    expect(sums!.config).toEqual({
      'message.timestamp.type': 'LogAppendTime',
      'cleanup.policy': 'compact',
      'delete.retention.ms': String(DAY_MS),
    })
  })

  it('of windows is deleted too, by the broker’s clock, a week after the store has let them go', () => {
    expect(minutes!.config).toEqual({
      'message.timestamp.type': 'LogAppendTime',
      'cleanup.policy': 'compact,delete',
      'delete.retention.ms': String(DAY_MS),
      'retention.ms': String((3 + 7) * DAY_MS),
      'retention.bytes': '-1',
    })
  })

  it('has the name, the partitions of the tasks it belongs to and the copies that it should', () => {
    expect([sums, minutes]).toMatchObject([
      { name: 'app-sums-changelog', partitions: 4, replicationFactor: 3 },
      { name: 'app-minutes-changelog', partitions: 12, replicationFactor: 3 },
    ])
  })
})

describe('a changelog that was made or altered by somebody else', () => {
  const [ofKeys, ofWindows] = builder.build().subTopologies.flatMap(({ stores }) => stores)
  const [keysConfig, windowsConfig] = [sums!.config!, minutes!.config!]
  const unfit = (store: typeof ofKeys, config: Record<string, string>) =>
    unfitSettings(store!, new Map(Object.entries(config)))

  it('is fit as we make it, with longer retention, for ever, and when nothing is ever deleted', () => {
    expect(unfit(ofKeys, keysConfig)).toEqual([])
    expect(unfit(ofWindows, windowsConfig)).toEqual([])
    expect(unfit(ofWindows, { ...windowsConfig, 'retention.ms': String(90 * DAY_MS) })).toEqual([])
    expect(unfit(ofWindows, { ...windowsConfig, 'retention.ms': '-1' })).toEqual([])
    expect(unfit(ofKeys, { ...keysConfig, 'delete.retention.ms': String(7 * DAY_MS), 'retention.ms': '1' })).toEqual([])
    expect(unfit(ofWindows, { ...keysConfig })).toEqual([])
  })

  it.each([
    ['keys are deleted by age', ofKeys, { 'cleanup.policy': 'delete' }, ['cleanup.policy=compact']],
    ['keys are compacted and deleted', ofKeys, { 'cleanup.policy': 'compact,delete' }, ['cleanup.policy=compact']],
    ['tombstones go too soon', ofKeys, { 'delete.retention.ms': '1000' }, [`delete.retention.ms=${DAY_MS}`]],
    [
      'windows go before the store lets them go',
      ofWindows,
      { 'retention.ms': String(2 * DAY_MS) },
      [`retention.ms=${10 * DAY_MS}`],
    ],
    ['windows go by size', ofWindows, { 'retention.bytes': '1000000' }, ['retention.bytes=-1']],
    [
      'windows go by the time of the event',
      ofWindows,
      { 'message.timestamp.type': 'CreateTime' },
      ['message.timestamp.type=LogAppendTime'],
    ],
  ])('is not when %s', (_, store, altered, needed) => {
    const config = store === ofKeys ? keysConfig : windowsConfig
    expect(unfit(store, { ...config, ...altered } as Record<string, string>)).toEqual(needed)
  })
})
