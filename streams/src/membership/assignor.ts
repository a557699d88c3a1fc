/** What the leader knows of a member of the group, told by the member itself when it joined. */
export interface AssignorMember {
  readonly memberId: string
  /** The stable name of the process: survives restarts, unlike the member id. */
  readonly instance: string
  /** When the process started, epoch ms. */
  readonly startedAtMs: number
  /** Tasks it ran until this rebalance: their state is complete there. */
  readonly running: readonly string[]
  /** Tasks it kept warm until this rebalance. */
  readonly standing: readonly string[]
  /** Changelog records its state of a task lacks, by task; a task it has no state of is not in it. */
  readonly lags: ReadonlyMap<string, number>
}

export interface AssignorTask {
  readonly id: string
  /** Whether it has state that a standby could keep. */
  readonly stateful: boolean
  /** Changelog records that a member without any state of it would have to replay. */
  readonly records: number
}

export interface AssignorOptions {
  /** Copies of each task's state that are kept warm besides the active one, as far as there are members for them. */
  readonly standbyReplicas: number
  /** A member may take a task over at once if its state lacks at most so many changelog records. */
  readonly acceptableLag: number
}

/** What one member is to do; each list is sorted. */
export interface MemberTasks {
  readonly active: readonly string[]
  readonly standby: readonly string[]
  /** Those of its standbys that it is to process itself once they are complete. */
  readonly warmup: readonly string[]
}

export interface Assignment {
  readonly members: ReadonlyMap<string, MemberTasks>
  /** Members turned away: another live member has their instance id and started earlier. */
  readonly rejected: readonly string[]
}

/**
 * Distributes tasks over members. Where everybody's state is current, active tasks are balanced to within one, and among
 * balanced ways it is one that moves as little as it can. A task never moves to a member that would have to restore it
 * for long while another has it: that one goes on, and the member it is meant for warms up first (as KIP-441 has it;
 * https://cwiki.apache.org/confluence/display/KAFKA/KIP-441). Standbys stay where they are, else go to who has state.
 * Pure: the same members and tasks give the same assignment, in whatever order they come.
 */
export function assignTasks(
  members: readonly AssignorMember[],
  tasks: readonly AssignorTask[],
  { standbyReplicas, acceptableLag }: AssignorOptions,
): Assignment {
  const { accepted, rejected } = admit(members)
  const sorted = [...tasks].sort((a, b) => byTaskId(a.id, b.id))
  if (accepted.length === 0) return { members: new Map(), rejected }

  const group = new Group(accepted, acceptableLag)
  const wanted = balance(group, sorted)
  const actives = new Map(sorted.map((task) => [task.id, ownerFor(group, task, wanted.get(task.id)!)]))
  const standbys = placeStandbys(group, sorted, actives, standbyReplicas)

  const tasksOf = ({ memberId }: AssignorMember): MemberTasks => {
    const active = sorted.filter(({ id }) => actives.get(id)!.memberId === memberId)
    const warmup = sorted.filter(
      ({ id }) => wanted.get(id)!.memberId === memberId && actives.get(id)!.memberId !== memberId,
    )
    const standby = sorted.filter((task) => warmup.includes(task) || standbys.get(task.id)?.has(memberId))
    return { active: active.map(idOf), standby: standby.map(idOf), warmup: warmup.map(idOf) }
  }
  return { members: new Map(accepted.map((member) => [member.memberId, tasksOf(member)])), rejected }
}

/** The members that take part, with what is asked of them again and again. */
class Group {
  readonly #running: ReadonlyMap<string, ReadonlySet<string>>
  readonly #standing: ReadonlyMap<string, ReadonlySet<string>>

  constructor(
    readonly members: readonly AssignorMember[],
    readonly acceptableLag: number,
  ) {
    this.#running = new Map(members.map(({ memberId, running }) => [memberId, new Set(running)]))
    this.#standing = new Map(members.map(({ memberId, standing }) => [memberId, new Set(standing)]))
  }

  runs({ memberId }: AssignorMember, task: string): boolean {
    return this.#running.get(memberId)!.has(task)
  }

  standsBy({ memberId }: AssignorMember, task: string): boolean {
    return this.#standing.get(memberId)!.has(task)
  }

  /** Changelog records it would have to replay before it could process the task. */
  lag(member: AssignorMember, { id, records }: AssignorTask): number {
    return this.runs(member, id) ? 0 : Math.min(member.lags.get(id) ?? records, records)
  }

  isCaughtUp(member: AssignorMember, task: AssignorTask): boolean {
    return this.lag(member, task) <= this.acceptableLag
  }

  hasStateOf(member: AssignorMember, task: AssignorTask): boolean {
    return this.runs(member, task.id) || (member.lags.has(task.id) && this.lag(member, task) < task.records)
  }
}

/** Task id -> the member that is to process it, were everybody's state current. */
function balance(group: Group, tasks: readonly AssignorTask[]): Map<string, AssignorMember> {
  const owner = new Map<string, AssignorMember>()
  const count = new Map(group.members.map(({ memberId }) => [memberId, 0]))
  const least = Math.floor(tasks.length / group.members.length)
  /** How many members may have one task more than the least. */
  let larger = tasks.length % group.members.length

  function give(member: AssignorMember, { id }: AssignorTask): void {
    const held = count.get(member.memberId)!
    if (owner.has(id) || held > least || (held === least && larger === 0)) return
    if (held === least) larger--
    count.set(member.memberId, held + 1)
    owner.set(id, member)
  }

  // 1. Who runs a task keeps it. Who must give some up keeps those that would be the hardest for others to take over.
  const effort = new Map(
    tasks.map((task) => {
      const others = group.members.filter((member) => !group.runs(member, task.id))
      return [task.id, Math.min(...others.map((member) => group.lag(member, task)))]
    }),
  )
  const byRunning = [...group.members].sort((a, b) => a.running.length - b.running.length)
  for (const member of byRunning) {
    const running = tasks.filter(({ id }) => group.runs(member, id))
    running.sort((a, b) => compareNumbers(effort.get(b.id)!, effort.get(a.id)!))
    for (const task of running) give(member, task)
  }

  // 2. Who has its state, the most current first.
  const stored = group.members.flatMap((member) =>
    tasks.filter((task) => group.hasStateOf(member, task)).map((task) => ({ member, task })),
  )
  stored.sort(
    (a, b) =>
      group.lag(a.member, a.task) - group.lag(b.member, b.task) ||
      Number(group.standsBy(b.member, b.task.id)) - Number(group.standsBy(a.member, a.task.id)),
  )
  for (const { member, task } of stored) give(member, task)

  // 3. Whoever has the fewest.
  for (const task of tasks) {
    if (owner.has(task.id)) continue
    const fewest = cheapest(group.members, ({ memberId }) => [count.get(memberId)!])
    owner.set(task.id, fewest)
    count.set(fewest.memberId, count.get(fewest.memberId)! + 1)
  }
  return owner
}

/** The member it is meant for, unless that one would have to restore for long and another would not. */
function ownerFor(group: Group, task: AssignorTask, wanted: AssignorMember): AssignorMember {
  if (group.isCaughtUp(wanted, task)) return wanted
  const ready = group.members.filter((member) => group.isCaughtUp(member, task))
  if (ready.length === 0) return wanted
  return cheapest(ready, (member) => [Number(!group.runs(member, task.id)), group.lag(member, task)])
}

/** Task id -> ids of the members that keep its state warm. */
function placeStandbys(
  group: Group,
  tasks: readonly AssignorTask[],
  actives: ReadonlyMap<string, AssignorMember>,
  standbyReplicas: number,
): Map<string, Set<string>> {
  const replicas = Math.min(standbyReplicas, group.members.length - 1)
  const stateful = replicas > 0 ? tasks.filter((task) => task.stateful) : []
  const count = new Map(group.members.map(({ memberId }) => [memberId, 0]))
  const share = Math.ceil((stateful.length * replicas) / group.members.length)
  const placed = new Map(stateful.map(({ id }) => [id, new Set<string>()]))

  function place({ id }: AssignorTask, { memberId }: AssignorMember): void {
    placed.get(id)!.add(memberId)
    count.set(memberId, count.get(memberId)! + 1)
  }
  const isFree = ({ id }: AssignorTask, member: AssignorMember) =>
    actives.get(id) !== member && !placed.get(id)!.has(member.memberId)
  const hasRoom = ({ memberId }: AssignorMember) => count.get(memberId)! < share

  for (const task of stateful) {
    for (const member of group.members) {
      if (placed.get(task.id)!.size === replicas) break
      if (group.standsBy(member, task.id) && isFree(task, member) && hasRoom(member)) place(task, member)
    }
  }
  for (const task of stateful) {
    while (placed.get(task.id)!.size < replicas) {
      const free = group.members.filter((member) => isFree(task, member))
      const best = cheapest(free, (member) => [
        Number(!hasRoom(member)),
        Number(!group.standsBy(member, task.id)),
        group.lag(member, task),
        count.get(member.memberId)!,
      ])
      place(task, best)
    }
  }
  return placed
}

/** One member per instance: the process that runs tasks keeps the slot, else the older one. Clocks may be wrong. */
function admit(members: readonly AssignorMember[]): { accepted: AssignorMember[]; rejected: string[] } {
  const accepted = new Map<string, AssignorMember>()
  const rejected: string[] = []
  const isIdle = ({ running }: AssignorMember) => Number(running.length === 0)
  const byAge = [...members].sort(
    (a, b) => isIdle(a) - isIdle(b) || a.startedAtMs - b.startedAtMs || compareTexts(a.memberId, b.memberId),
  )
  for (const member of byAge) {
    if (accepted.has(member.instance)) rejected.push(member.memberId)
    else accepted.set(member.instance, member)
  }
  return { accepted: [...accepted.values()].sort((a, b) => compareTexts(a.instance, b.instance)), rejected }
}

/** `0_2` before `0_10`: by sub-topology, then by partition. */
export function byTaskId(a: string, b: string): number {
  const [subA, partitionA] = a.split('_').map(Number)
  const [subB, partitionB] = b.split('_').map(Number)
  return subA! - subB! || partitionA! - partitionB!
}

/** The first of the members whose costs, compared one after the other, are the smallest. */
function cheapest(members: readonly AssignorMember[], costs: (member: AssignorMember) => number[]): AssignorMember {
  const ranked = members.map((member) => ({ member, costs: costs(member) }))
  return ranked.reduce((best, one) => (compareAll(one.costs, best.costs) < 0 ? one : best)).member
}

function compareAll(a: readonly number[], b: readonly number[]): number {
  return a.reduce((order, cost, at) => order || compareNumbers(cost, b[at]!), 0)
}

/** Also of infinities, whose difference is no number. */
function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function idOf({ id }: AssignorTask): string {
  return id
}
