import { expect, test } from 'vitest'
import { leaseOf, ownedUntilMs, standingOf, standingOfView, type Membership } from './role.js'

const running = { status: 'RUNNING', currentUntilMs: Number.NEGATIVE_INFINITY }
const member = (fields: Partial<Membership> = {}): Membership => ({
  state: 'stable',
  lastHeartbeatAtMs: 100_000,
  leaseMs: 10_000,
  ...fields,
})

test('a running task is active until the lease of the last heartbeat ends, and not a moment longer', () => {
  expect(standingOf(running, member(), 100_000)).toEqual({ role: 'active', staleMs: 0 })
  expect(standingOf(running, member(), 109_999)).toEqual({ role: 'active', staleMs: 0 })
  expect(standingOf(running, member(), 110_000.5)).toEqual({ role: 'standby', staleMs: 1 })
  expect(standingOf(running, member(), 125_000)).toEqual({ role: 'standby', staleMs: 15_000 })
})

test('a rebalance takes nothing away before the member joins it', () => {
  const asked = member({ state: 'rebalance-needed' })
  expect(standingOf(running, asked, 104_000)).toEqual({ role: 'active', staleMs: 0 })
  expect(standingOf(running, asked, 110_001)).toMatchObject({ role: 'standby' })
})

test.each(['joining', 'lost', 'unjoined'] as const)('who is %s is not active, however fresh its heartbeat', (state) => {
  expect(standingOf(running, member({ state }), 100_200)).toEqual({ role: 'standby', staleMs: 200 })
})

test('a task that does not run is a standby as old as its state', () => {
  for (const status of ['RESTORING', 'STANDBY', 'CLOSED']) {
    const standing = standingOf({ status, currentUntilMs: 99_000 }, member(), 100_000.2)
    expect(standing).toEqual({ role: 'standby', staleMs: 1_001 })
  }
})

test('how old the state may be is a number also when nothing is known', () => {
  const task = { status: 'CREATED', currentUntilMs: Number.NEGATIVE_INFINITY }
  const { staleMs } = standingOf(task, member(), 100_000)
  expect(staleMs).toBe(Number.MAX_SAFE_INTEGER)
})

test('the group waits for the shorter of its two timeouts', () => {
  expect(leaseOf({ sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 20_000 })).toBe(10_000)
  expect(leaseOf({ sessionTimeoutMs: 30_000, rebalanceTimeoutMs: 20_000 })).toBe(20_000)
})

test('what was processed before joining is current up to that moment, but no further than the lease', () => {
  expect(ownedUntilMs(member({ state: 'rebalance-needed' }), 103_000)).toBe(103_000)
  expect(ownedUntilMs(member({ state: 'stable' }), 150_000)).toBe(110_000)
  expect(ownedUntilMs(member({ state: 'lost' }), 103_000)).toBe(100_000)
})

test('an answer is active only if its task was so when it was read and is so when it is given', () => {
  const active = { role: 'active', staleMs: 0 } as const
  expect(standingOfView(active, true, 500)).toEqual(active)
  expect(standingOfView(active, false, 12_000)).toEqual({ role: 'standby', staleMs: 12_000 })
  expect(standingOfView({ role: 'standby', staleMs: 40 }, true, 500)).toEqual({ role: 'standby', staleMs: 540 })
})
