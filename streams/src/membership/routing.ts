import { KafkaAdmin } from '../kafka/admin.js'
import type { KafkaClient } from '../kafka/client.js'
import { decodeAssignment } from '../kafka/consumer-protocol.js'
import { decodeAssignmentMap, type AssignmentMap } from './group-metadata.js'

/**
 * Who does what, as the group's coordinator tells it.
 * - `map`: the group is stable, and this is what its leader gave to everybody
 * - `between`: it is between two assignments, or its members are not (all) ours
 * - `empty`: nobody is in it
 * - `none`: there is no such group, or not any more: one of this name begins at generation 1
 */
export type GroupReading =
  | { readonly kind: 'map'; readonly map: AssignmentMap }
  | { readonly kind: 'between' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'none' }

/**
 * Reads back the map that the leader gave to everybody, for those who are no members: from DescribeGroups. It counts only if the group is stable and all members hold the map of the same epoch.
 * @throws KafkaError when the coordinator cannot be asked
 */
export async function readGroup(client: KafkaClient, groupId: string): Promise<GroupReading> {
  const { state, members } = await new KafkaAdmin(client).describeGroup(groupId)
  if (state === 'Dead') return { kind: 'none' }
  if (state === 'Empty') return { kind: 'empty' }
  if (state !== 'Stable') return { kind: 'between' }
  const maps = members.map(({ assignment }) => decodeAssignmentMap(decodeAssignment(assignment).userData))
  const [first] = maps
  if (first === undefined || maps.some((map) => map?.epoch !== first.epoch)) return { kind: 'between' }
  const present = new Set(members.map(({ memberId }) => memberId))
  return first.members.every(({ memberId }) => present.has(memberId))
    ? { kind: 'map', map: first }
    : { kind: 'between' }
}

/** What a reader of the group holds to be true. */
export interface KnownRouting {
  readonly map: AssignmentMap | undefined
  /** Of the newest assignment seen, in a map or in an answer; -1 before the first. */
  readonly generation: number
  /** An older map that the coordinator insists on, and how often in a row it has. */
  readonly doubted: { readonly epoch: string; readonly times: number } | undefined
}

export const NOTHING_KNOWN: KnownRouting = { map: undefined, generation: -1, doubted: undefined }

/** So often in a row must a coordinator tell an older map before it is believed. */
export const TIMES_TOLD = 3

/**
 * What is known after another reading. It never goes back to an older generation, with two exceptions: a group that was
 * deleted counts from 1 again. If the gap is seen (`none`) anything may follow. If it fell between two readings, the new
 * group looks like an old coordinator that does not know yet that another took over from it: but that one learns it, so
 * what is told again and again is true.
 */
export function learn(known: KnownRouting, reading: GroupReading): KnownRouting {
  switch (reading.kind) {
    case 'between':
      return { ...known, doubted: undefined }
    case 'empty':
      return { map: undefined, generation: known.generation, doubted: undefined }
    case 'none':
      return NOTHING_KNOWN
    case 'map': {
      const { map } = reading
      const { epoch, generation } = map
      if (generation >= known.generation) return { map, generation, doubted: undefined }
      // The map we have, while answers have told of a newer one: it will be along.
      if (epoch === known.map?.epoch) return { ...known, doubted: undefined }
      const times = known.doubted?.epoch === epoch ? known.doubted.times + 1 : 1
      return times >= TIMES_TOLD ? { map, generation, doubted: undefined } : { ...known, doubted: { epoch, times } }
    }
  }
}

/** An answer told of an assignment. */
export function learnGeneration(known: KnownRouting, generation: number): KnownRouting {
  return generation > known.generation ? { ...known, generation } : known
}
