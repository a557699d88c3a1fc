/**
 * Named places between the steps of the protocol at which a test may stop or kill the process, in the order in which a
 * run comes by them. Inert unless a test sets a hook.
 */
export const FAILPOINTS = [
  // Start
  'start.locked',
  'start.topics-ready',
  'start.producer-ready',
  'start.former-left',
  'start.state-opened',
  // Joining the group, and what its leader does meanwhile
  'rebalance.drained',
  'rebalance.dead-fenced',
  'rebalance.assigned',
  'rebalance.joined',
  'rebalance.tasks-closed',
  'rebalance.tasks-opened',
  // Taking a task
  'task.offsets-read',
  'task.ends-read',
  'task.state-checked',
  'task.restoring',
  'task.restored',
  'task.started',
  // The commit
  'commit.frozen',
  'commit.produced',
  'commit.offsets-sent',
  'commit.ended',
  'commit.persisting',
  'commit.persisted',
  // A clean end
  'close.drained',
  'close.tasks-closed',
  'close.left',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

let hook: ((name: Failpoint) => Promise<void> | void) | undefined

/** For tests: called at every failpoint, and awaited. */
export function onFailpoint(test: typeof hook): void {
  hook = test
}

/** Marks a place. Costs nothing worth counting: it stands between requests, never at single records. */
export async function failpoint(name: Failpoint): Promise<void> {
  if (hook !== undefined) await hook(name)
}
