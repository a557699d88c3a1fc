import type { GroupMemberState } from '../kafka/group-generation.js'

/** What an instance knows of its place in the group. Times by the monotonic clock, which goes on while a process is frozen. */
export interface Membership {
  readonly state: GroupMemberState
  /** Start of the last heartbeat that was answered without error. */
  readonly lastHeartbeatAtMs: number
  /**
   * For so long from there on the group cannot go on without us: it gives our tasks away when it has not heard of us for
   * the session timeout, or when a rebalance that begins after that heartbeat has waited for us for its own timeout.
   */
  readonly leaseMs: number
}

export interface Standing {
  readonly role: 'active' | 'standby'
  /** 0 for an active; else how old the state may be, in whole ms. */
  readonly staleMs: number
}

export function leaseOf(timeouts: { sessionTimeoutMs: number; rebalanceTimeoutMs: number }): number {
  return Math.min(timeouts.sessionTimeoutMs, timeouts.rebalanceTimeoutMs)
}

/** The last moment, up to now, at which nobody else can have processed the tasks we are assigned. */
export function ownedUntilMs({ state, lastHeartbeatAtMs, leaseMs }: Membership, nowMs: number): number {
  // Who joins may be given less at any moment, and who is lost cannot tell since when.
  if (state !== 'stable' && state !== 'rebalance-needed') return lastHeartbeatAtMs
  return Math.min(nowMs, lastHeartbeatAtMs + leaseMs)
}

/**
 * As what an instance may speak for a task at this moment. To be asked when the answer is made, after everything that
 * takes time: a process that was frozen in between finds here that its lease has run out.
 * @param task `currentUntilMs`: until when its state is known to be current, while it does not run
 */
export function standingOf(
  { status, currentUntilMs }: { readonly status: string; readonly currentUntilMs: number },
  membership: Membership,
  nowMs: number,
): Standing {
  const knownUntilMs = status === 'RUNNING' ? ownedUntilMs(membership, nowMs) : currentUntilMs
  if (status === 'RUNNING' && knownUntilMs === nowMs) return { role: 'active', staleMs: 0 }
  // Not a JSON number when nothing is known at all: then it is as old as can be said.
  return { role: 'standby', staleMs: Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(nowMs - knownUntilMs)) }
}

/**
 * As what an answer is given that was read from a view some time ago.
 * @param viewed when the view was taken
 * @param isActive whether the task is active now, in the same generation
 */
export function standingOfView(viewed: Standing, isActive: boolean, elapsedMs: number): Standing {
  // A task that was restored meanwhile is active now; what was read of it before was not.
  if (viewed.role === 'active' && isActive) return viewed
  return { role: 'standby', staleMs: Math.min(Number.MAX_SAFE_INTEGER, viewed.staleMs + Math.ceil(elapsedMs)) }
}
