import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { decodeAssignment, decodeSubscription, encodeAssignment, encodeSubscription } from './consumer-protocol.js'

/** KafkaJS's own reading of the same bytes: an independent witness. */
const kafkajs = createRequire(import.meta.url)('kafkajs') as {
  AssignerProtocol: {
    MemberMetadata: { decode(bytes: Buffer): unknown; encode(value: object): Buffer }
    MemberAssignment: { decode(bytes: Buffer): unknown; encode(value: object): Buffer }
  }
}
const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol
const userData = Buffer.from('{"instance":"a"}')

test('subscriptions are read by KafkaJS, and its own by us', () => {
  const bytes = encodeSubscription({ topics: ['trades', 'bars'], userData })
  expect(MemberMetadata.decode(bytes)).toEqual({ version: 0, topics: ['trades', 'bars'], userData })
  expect(decodeSubscription(bytes)).toEqual({ topics: ['trades', 'bars'], userData })
  const theirs = MemberMetadata.encode({ version: 1, topics: ['x'], userData })
  expect(decodeSubscription(theirs)).toEqual({ topics: ['x'], userData })
})

test('assignments are read by KafkaJS, and its own by us', () => {
  const partitions = new Map([
    ['trades', [0, 5, 11]],
    ['bars', []],
  ])
  const bytes = encodeAssignment({ partitions, userData })
  expect(MemberAssignment.decode(bytes)).toEqual({ version: 0, assignment: { trades: [0, 5, 11], bars: [] }, userData })
  expect(decodeAssignment(bytes)).toEqual({ partitions, userData })
  const theirs = MemberAssignment.encode({ version: 1, assignment: { x: [3] } })
  expect(decodeAssignment(theirs)).toEqual({ partitions: new Map([['x', [3]]]), userData: Buffer.alloc(0) })
})

test('fields that later versions append are not in the way, and members that are joining have no bytes', () => {
  const bytes = encodeSubscription({ topics: ['trades'], userData })
  const later = Buffer.concat([Buffer.from([0, 3]), bytes.subarray(2), Buffer.from([0, 0, 0, 0, 0, 0, 0, 7])])
  expect(decodeSubscription(later)).toEqual({ topics: ['trades'], userData })
  expect(decodeSubscription(Buffer.alloc(0)).topics).toEqual([])
  expect(decodeAssignment(Buffer.alloc(0)).partitions.size).toBe(0)
})

test('bytes that are cut off throw instead of giving a partial answer', () => {
  const bytes = encodeAssignment({ partitions: new Map([['trades', [0, 1]]]), userData })
  for (let kept = 1; kept < bytes.length; kept++) {
    expect(() => decodeAssignment(bytes.subarray(0, kept))).toThrow(RangeError)
  }
})
