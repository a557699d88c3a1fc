import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  assignTasks,
  byTaskId,
  type Assignment,
  type AssignorMember,
  type AssignorOptions,
  type AssignorTask,
} from './assignor.js'

/** So many assignments it may take until a group with any history is at rest. */
const ROUNDS = 8
const OPTIONS: AssignorOptions = { standbyReplicas: 1, acceptableLag: 100 }

function member(
  instance: string,
  running: string[] = [],
  { standing = [], lags = {} }: { standing?: string[]; lags?: Record<string, number> } = {},
): AssignorMember {
  const known = new Map(Object.entries(lags))
  for (const task of [...running, ...standing]) if (!known.has(task)) known.set(task, 0)
  return { memberId: `${instance}-member`, instance, running, standing, lags: known, startedAtMs: 1 }
}

/** Large enough that nobody without state is caught up. */
const tasksOf = (count: number, records = 10_000): AssignorTask[] =>
  Array.from({ length: count }, (_, partition) => ({ id: `0_${partition}`, stateful: true, records }))

const anyTaskId = fc.integer({ min: 0, max: 30 }).map((partition) => `0_${partition}`)

/** Members with any history whatever: what they claim to run, keep warm or have stored may overlap and may be gone. */
const anyGroup = fc.record({
  options: fc.record({ standbyReplicas: fc.integer({ min: 0, max: 3 }), acceptableLag: fc.constantFrom(0, 100, 1e9) }),
  tasks: fc.tuple(fc.integer({ min: 0, max: 24 }), fc.constantFrom(0, 50, 10_000)).map((args) => tasksOf(...args)),
  members: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }).chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc
          .record({
            running: fc.uniqueArray(anyTaskId),
            standing: fc.uniqueArray(anyTaskId),
            lags: fc.dictionary(anyTaskId, fc.constantFrom(0, 7, 100, 101, 20_000)),
          })
          .map(({ running, ...rest }) => member(`instance-${name}`, running, rest)),
      ),
    ),
  ),
})

const activesOf = ({ members }: Assignment) => [...members.values()].flatMap(({ active }) => active).sort(byTaskId)
const ownerOf = ({ members }: Assignment, task: string) =>
  [...members].find(([, { active }]) => active.includes(task))![0]

/** The group as it is when everybody has done what the assignment says and caught up. */
function after(members: readonly AssignorMember[], assignment: Assignment): AssignorMember[] {
  return members.map((one) => {
    const { active, standby } = assignment.members.get(one.memberId)!
    const lags = new Map([...one.lags, ...[...active, ...standby].map((task) => [task, 0] as const)])
    return { ...one, running: active, standing: standby, lags }
  })
}

describe('the assignment of tasks', () => {
  it('gives every task to exactly one member', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members, options }) => {
        expect(activesOf(assignTasks(members, tasks, options))).toEqual(tasks.map(({ id }) => id))
      }),
    )
  })

  it('never has active and standby, or two standbys, of one task on one instance', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members, options }) => {
        for (const { active, standby, warmup } of assignTasks(members, tasks, options).members.values()) {
          expect(new Set([...active, ...standby]).size).toBe(active.length + standby.length)
          for (const task of warmup) expect(standby).toContain(task)
        }
      }),
    )
  })

  it('keeps as many standbys of each task as it was told to, as far as there are members, and warm-ups besides', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members, options }) => {
        const assigned = [...assignTasks(members, tasks, options).members.values()]
        const replicas = Math.min(options.standbyReplicas, members.length - 1)
        for (const { id } of tasks) {
          const all = assigned.filter(({ standby }) => standby.includes(id)).length
          const warming = assigned.filter(({ warmup }) => warmup.includes(id)).length
          expect(warming).toBeLessThanOrEqual(1)
          expect([replicas, replicas + warming]).toContain(all)
        }
      }),
    )
  })

  it('moves a task only to a member whose state is close to current, unless nobody has that', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members, options }) => {
        const assignment = assignTasks(members, tasks, options)
        const isCaughtUp = ({ running, lags }: AssignorMember, { id, records }: AssignorTask) =>
          running.includes(id) || Math.min(lags.get(id) ?? records, records) <= options.acceptableLag
        for (const task of tasks) {
          const owner = members.find(({ memberId }) => memberId === ownerOf(assignment, task.id))!
          if (members.some((one) => isCaughtUp(one, task))) expect(isCaughtUp(owner, task)).toBe(true)
        }
      }),
    )
  })

  it('is balanced to within one, without warm-ups, and moves nothing more, after a few rounds of warming up', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members, options }) => {
        let group: readonly AssignorMember[] = members
        for (let round = 0; round < ROUNDS; round++) group = after(group, assignTasks(group, tasks, options))
        const settled = assignTasks(group, tasks, options)
        const sizes = [...settled.members.values()].map(({ active }) => active.length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
        expect([...settled.members.values()].flatMap(({ warmup }) => warmup)).toEqual([])
        expect(assignTasks(after(group, settled), tasks, options)).toEqual(settled)
      }),
      { numRuns: 500 },
    )
  })

  it('does not depend on the order in which members are listed', () => {
    fc.assert(
      fc.property(anyGroup, ({ tasks, members, options }) => {
        expect(assignTasks([...members].reverse(), tasks, options)).toEqual(assignTasks(members, tasks, options))
      }),
    )
  })

  it('gives the tasks of a member that is gone to those who kept them warm, and moves no other', () => {
    const tasks = tasksOf(6)
    const before = [
      member('a', ['0_0', '0_1'], { standing: ['0_2', '0_4'] }),
      member('b', ['0_2', '0_3'], { standing: ['0_0', '0_5'] }),
    ]
    const { members } = assignTasks(before, tasks, OPTIONS)
    expect(members.get('a-member')).toMatchObject({ active: ['0_0', '0_1', '0_4'], warmup: [] })
    expect(members.get('b-member')).toMatchObject({ active: ['0_2', '0_3', '0_5'], warmup: [] })
  })

  it('lets a member without state warm up while the others go on', () => {
    const tasks = tasksOf(4)
    const running = tasks.map(({ id }) => id)
    const before = [member('a', running), member('b')]
    const first = assignTasks(before, tasks, OPTIONS)
    expect(first.members.get('a-member')).toMatchObject({ active: running, standby: [] })
    expect(first.members.get('b-member')!.active).toEqual([])
    expect(first.members.get('b-member')!.warmup).toHaveLength(2)
    expect(first.members.get('b-member')!.standby).toEqual(running)

    const second = assignTasks(after(before, first), tasks, OPTIONS)
    expect(second.members.get('b-member')).toMatchObject({ active: first.members.get('b-member')!.warmup, warmup: [] })
  })

  it('moves at once what a new member can restore in no time', () => {
    const tasks = tasksOf(4, 50)
    const { members } = assignTasks(
      [
        member(
          'a',
          tasks.map(({ id }) => id),
        ),
        member('b'),
      ],
      tasks,
      OPTIONS,
    )
    expect(members.get('b-member')).toMatchObject({ warmup: [] })
    expect(members.get('b-member')!.active).toHaveLength(2)
  })

  it('gives a member that left and comes back the tasks it has on disk', () => {
    const tasks = tasksOf(4)
    const back = member('b', [], { lags: { '0_0': 5, '0_2': 5 } })
    const { members } = assignTasks(
      [
        member(
          'a',
          tasks.map(({ id }) => id),
        ),
        back,
      ],
      tasks,
      OPTIONS,
    )
    expect(members.get('b-member')).toMatchObject({ active: ['0_0', '0_2'], warmup: [] })
  })

  it('moves a standby neither for balance that is there nor for state that is as good elsewhere', () => {
    const tasks = tasksOf(3)
    const before = [
      member('a', ['0_0'], { standing: ['0_1'] }),
      member('b', ['0_1'], { standing: ['0_2'] }),
      member('c', ['0_2'], { standing: ['0_0'], lags: { '0_1': 0 } }),
    ]
    const { members } = assignTasks(before, tasks, OPTIONS)
    expect(members.get('a-member')!.standby).toEqual(['0_1'])
    expect(members.get('c-member')!.standby).toEqual(['0_0'])
  })

  it('keeps no standby of a task without state', () => {
    const tasks = [{ id: '0_0', stateful: false, records: 0 }]
    const { members } = assignTasks([member('a'), member('b')], tasks, OPTIONS)
    expect([...members.values()].flatMap(({ standby }) => standby)).toEqual([])
  })

  it('turns away the younger of two processes with one instance id', () => {
    const older = { ...member('a'), memberId: 'older', startedAtMs: 1 }
    const younger = { ...member('a'), memberId: 'younger', startedAtMs: 2 }
    const { members, rejected } = assignTasks([younger, older], tasksOf(2), OPTIONS)
    expect(rejected).toEqual(['younger'])
    expect(members.get('older')!.active).toHaveLength(2)
  })

  it('but never the one that runs tasks, whatever their clocks say', () => {
    const runs = { ...member('a'), memberId: 'runs', startedAtMs: 2, running: ['0_0'] }
    const wrongClock = { ...member('a'), memberId: 'wrong clock', startedAtMs: 1 }
    expect(assignTasks([runs, wrongClock], tasksOf(2), OPTIONS).rejected).toEqual(['wrong clock'])
  })

  it('makes no assignment without members', () => {
    expect(assignTasks([], tasksOf(2), OPTIONS).members.size).toBe(0)
  })
})
