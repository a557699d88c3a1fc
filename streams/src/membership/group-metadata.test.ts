import { expect, it } from 'vitest'
import {
  decodeAssignmentMap,
  decodeMemberMetadata,
  encodeMetadata,
  type AssignmentMap,
  type MemberMetadata,
} from './group-metadata.js'

const topology = [{ id: 0, partitions: 2, sourceTopics: ['trades'], stores: ['sums'] }]

const metadata: MemberMetadata = {
  v: 2,
  instance: 'müller',
  transactionalId: 'app-müller',
  endpoint: null,
  startedAtMs: 1_700_000_000_000,
  topology,
  running: ['0_0'],
  standing: ['0_1'],
  positions: { '0_0': 2 ** 40 },
  knownTransactionalIds: ['app-a'],
}

const map: AssignmentMap = {
  v: 2,
  epoch: 'e',
  generation: 3,
  subTopologies: topology,
  members: [
    {
      ...{ memberId: 'm', instance: 'a', endpoint: 'http://a:1', transactionalId: 'app-a' },
      ...{ active: ['0_0'], standby: ['0_1'], warmup: ['0_1'] },
    },
  ],
  rejected: ['x'],
  strangers: ['y'],
}

it('what a member tells arrives as it was told', () => {
  expect(decodeMemberMetadata(encodeMetadata(metadata))).toEqual(metadata)
})

it('what the leader decides arrives as it was decided', () => {
  expect(decodeAssignmentMap(encodeMetadata(map))).toEqual(map)
})

it.each([
  ['of an older version', { ...metadata, ...map, v: 1 }],
  ['of a newer version', { ...metadata, ...map, v: 3 }],
  ['of no version', { ...metadata, ...map, v: undefined }],
  ['that are null', null],
  ['that are a number', 2],
  ['that are a list', [2]],
])('bytes %s are not taken for ours', (_, told) => {
  const bytes = Buffer.from(JSON.stringify(told))
  expect([decodeMemberMetadata(bytes), decodeAssignmentMap(bytes)]).toEqual([undefined, undefined])
})

it.each([
  ['without content', Buffer.alloc(0)],
  ['of another kind of consumer', Buffer.from([0, 1, 0xff, 0xfe, 0])],
  ['cut short', encodeMetadata(metadata).subarray(0, -1)],
])('bytes %s are not taken for ours', (_, bytes) => {
  expect([decodeMemberMetadata(bytes), decodeAssignmentMap(bytes)]).toEqual([undefined, undefined])
})

it.each(['instance', 'startedAtMs', 'topology', 'running', 'positions', 'knownTransactionalIds'] as const)(
  'what a member tells is not taken for ours without its %s',
  (field) => {
    const lacking = Buffer.from(JSON.stringify({ ...metadata, [field]: null }))
    expect(decodeMemberMetadata(lacking)).toBeUndefined()
  },
)
