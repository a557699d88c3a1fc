/** What the leader knows of a member of the group, told by the member itself when it joined. */
export interface AssignorMember {
  readonly memberId: string
  /** The stable name of the process: survives restarts, unlike the member id. */
  readonly instance: string
  /** Tasks it ran until this rebalance: their state is complete there. */
  readonly running: readonly string[]
  /** Tasks whose state lies on its disk. */
  readonly stored: readonly string[]
  /** When the process started, epoch ms. */
  readonly startedAtMs: number
}

export interface Assignment {
  /** Member id -> its active tasks, sorted. */
  readonly active: ReadonlyMap<string, readonly string[]>
  /** Members turned away: another live member has their instance id and started earlier. */
  readonly rejected: readonly string[]
}

/**
 * Distributes tasks over members: balanced to within one task, and among balanced ways one that moves as little as it
 * can. A task stays with who runs it, else goes to who has its state on disk, else to whoever has the fewest.
 * Pure: the same members and tasks give the same assignment, in whatever order they come.
 */
export function assignTasks(members: readonly AssignorMember[], tasks: readonly string[]): Assignment {
  const { accepted, rejected } = admit(members)
  const active = new Map<string, string[]>(accepted.map(({ memberId }) => [memberId, []]))
  if (accepted.length === 0) return { active, rejected }

  const least = Math.floor(tasks.length / accepted.length)
  /** How many members may have one task more than the least. */
  let larger = tasks.length % accepted.length
  const open = new Set([...tasks].sort(byTaskId))

  function give(memberId: string, task: string): boolean {
    const held = active.get(memberId)!
    if (!open.has(task) || held.length > least || (held.length === least && larger === 0)) return false
    if (held.length === least) larger--
    held.push(task)
    open.delete(task)
    return true
  }

  for (const preference of ['running', 'stored'] as const) {
    // Least first: who keeps little is served before others take the larger shares.
    for (const member of [...accepted].sort((a, b) => a[preference].length - b[preference].length)) {
      for (const task of [...member[preference]].sort(byTaskId)) give(member.memberId, task)
    }
  }
  for (const task of open) {
    const [fewest] = [...accepted].sort((a, b) => active.get(a.memberId)!.length - active.get(b.memberId)!.length)
    active.get(fewest!.memberId)!.push(task)
  }
  for (const held of active.values()) held.sort(byTaskId)
  return { active, rejected }
}

/** One member per instance: the older process keeps the slot. */
function admit(members: readonly AssignorMember[]): { accepted: AssignorMember[]; rejected: string[] } {
  const accepted = new Map<string, AssignorMember>()
  const rejected: string[] = []
  const byAge = [...members].sort((a, b) => a.startedAtMs - b.startedAtMs || compareTexts(a.memberId, b.memberId))
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

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
