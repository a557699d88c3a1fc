import { describe, expect, it } from 'vitest'
import { KeptLog } from '../kafka/testing/test-cluster.js'
import { encodeMetadata, METADATA_VERSION, type AssignmentMap } from '../membership/group-metadata.js'
import { PlaceInGroup } from './place-in-group.js'

function adopted(map: Partial<AssignmentMap>) {
  const log = new KeptLog()
  const place = new PlaceInGroup({ instanceId: 'a', log, sessionTimeoutMs: 6_000 })
  const adopt = (changed: Partial<AssignmentMap>) => {
    const whole = { epoch: '', generation: 3, subTopologies: [], members: [], rejected: [], strangers: [], ...changed }
    const userData = encodeMetadata({ v: METADATA_VERSION, ...whole })
    place.adopt({ userData, memberId: 'me', generationId: 3, isLeader: false, assignment: new Map() }, [])
  }
  adopt(map)
  return { place, log, adopt }
}

describe('the place in the group', () => {
  it('is what the leader wrote for this member, and nothing where it wrote nothing', () => {
    const tasks = { active: ['0_1'], standby: ['0_2'], warmup: [] }
    const of = (memberId: string) => ({ memberId, instance: memberId, endpoint: null, transactionalId: memberId })
    const members = [
      { ...of('other'), active: ['0_0'], standby: [], warmup: [] },
      { ...of('me'), ...tasks },
    ]
    const { place, adopt } = adopted({ members })
    expect(place.role).toMatchObject(tasks)
    expect(place.generationId).toBe(3)
    adopt({ members: members.slice(0, 1) })
    expect(place.role).toEqual({ active: [], standby: [], warmup: [] })
  })

  it('is waited for while an older member with this instance id may only be dead, and no longer', () => {
    const { place, adopt } = adopted({ rejected: ['me'] })
    const atMs = performance.now()
    expect(place.isTaken(atMs + 8_000)).toBe(true)
    adopt({ rejected: ['me'] })
    expect(() => place.isTaken(atMs + 10_000)).toThrow("another running process has the instance id 'a'")
    adopt({})
    expect(place.isTaken(atMs + 10_000)).toBe(false)
  })

  it('says why a member of another topology gets no tasks', () => {
    const { log } = adopted({ strangers: ['me'] })
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1)
  })
})
