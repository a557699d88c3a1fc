import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignTasks, byTaskId, type AssignorMember } from './assignor.js'

function member(instance: string, running: string[] = [], stored: string[] = running): AssignorMember {
  return { memberId: `${instance}-member`, instance, running, stored, startedAtMs: 1 }
}

const tasksOf = (count: number) => Array.from({ length: count }, (_, partition) => `0_${partition}`)

/** Members with any history whatever: what they claim to run or to have stored may overlap and may be gone. */
const anyGroup = fc.record({
  tasks: fc.integer({ min: 0, max: 24 }).map(tasksOf),
  members: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }).chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc
          .record({
            running: fc.uniqueArray(fc.integer({ min: 0, max: 30 }).map((partition) => `0_${partition}`)),
            stored: fc.uniqueArray(fc.integer({ min: 0, max: 30 }).map((partition) => `0_${partition}`)),
          })
          .map(({ running, stored }) => member(`instance-${name}`, running, stored)),
      ),
    ),
  ),
})

describe('the assignment of tasks', () => {
  it('gives every task to exactly one member, balanced to within one', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members }) => {
        const held = [...assignTasks(members, tasks).active.values()]
        expect(held.flat().sort(byTaskId)).toEqual(tasks)
        const sizes = held.map(({ length }) => length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('moves nothing when it is made again with the same members', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members }) => {
        const before = assignTasks(members, tasks).active
        const again = members.map((one) => ({ ...one, running: before.get(one.memberId)! }))
        expect(assignTasks(again, tasks).active).toEqual(before)
      }),
    )
  })

  it('does not depend on the order in which members are listed', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members }) => {
        expect(assignTasks([...members].reverse(), tasks)).toEqual(assignTasks(members, tasks))
      }),
    )
  })

  it('moves only the tasks of a member that is gone', () => {
    const before = [member('a', ['0_0', '0_1']), member('b', ['0_2', '0_3']), member('c', ['0_4', '0_5'])]
    const { active } = assignTasks(before.slice(0, 2), tasksOf(6))
    expect(active.get('a-member')).toEqual(expect.arrayContaining(['0_0', '0_1']))
    expect(active.get('b-member')).toEqual(expect.arrayContaining(['0_2', '0_3']))
  })

  it('gives a new member just its share and leaves the rest where they are', () => {
    const { active } = assignTasks([member('a', tasksOf(6)), member('b')], tasksOf(6))
    expect(active.get('b-member')).toHaveLength(3)
    expect(active.get('a-member')).toHaveLength(3)
  })

  it('gives a task nobody runs to who has its state on disk', () => {
    const members = [member('a', [], ['0_1']), member('b', [], ['0_0'])]
    expect(Object.fromEntries(assignTasks(members, tasksOf(2)).active)).toEqual({
      'a-member': ['0_1'],
      'b-member': ['0_0'],
    })
  })

  it('turns away the younger of two members with the same instance id', () => {
    const older = { ...member('a'), memberId: 'older', startedAtMs: 5 }
    const younger = { ...member('a'), memberId: 'younger', startedAtMs: 9 }
    const { active, rejected } = assignTasks([younger, older], tasksOf(2))
    expect(rejected).toEqual(['younger'])
    expect(Object.fromEntries(active)).toEqual({ older: ['0_0', '0_1'] })
  })
})
