import type { Client } from 'cassandra-driver'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createClient } from './client.js'
import { mendControlConnection } from './driver-mends.js'
import type { CassandraConfig } from './settings.js'

afterEach(() => void vi.useRealTimers())

function mended(search: (hosts?: unknown) => Promise<void>) {
  const control = { _refresh: vi.fn(search), _isShuttingDown: false }
  const original = control._refresh
  mendControlConnection({ controlConnection: control } as unknown as Client)
  return { control, original }
}

describe('the search of the control connection for a node', () => {
  it('is made once at a time, and again when it is asked for later', async () => {
    let found = () => undefined as void
    const { control, original } = mended(() => new Promise((resolve) => (found = resolve)))
    const both = [control._refresh(), control._refresh()]
    expect(original).toHaveBeenCalledOnce()
    found()
    await Promise.all(both)
    void control._refresh()
    expect(original).toHaveBeenCalledTimes(2)
  })

  it('goes on with the next host while it is under way', async () => {
    const { control, original } = mended((hosts) =>
      hosts === undefined ? control._refresh('rest') : Promise.resolve(),
    )
    await control._refresh()
    expect(original.mock.calls).toEqual([[], ['rest']])
  })

  it('that fails ends nothing and is made again, until the client is shut down', async () => {
    vi.useFakeTimers()
    const { control, original } = mended(() => Promise.reject(new TypeError("reading 'once' of null")))
    await control._refresh()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(original).toHaveBeenCalledTimes(2)
    control._isShuttingDown = true
    await vi.advanceTimersByTimeAsync(10_000)
    expect(original.mock.calls.length).toBeLessThanOrEqual(3)
  })

  it('is the one of every client we make', () => {
    const config = {
      contactPoints: ['127.0.0.1'],
      localDataCenter: 'dc1',
      port: 9042,
      consistency: 'ONE',
      keyspace: 'k',
    }
    const client = createClient(config as unknown as CassandraConfig) as unknown as { controlConnection: object }
    expect(Object.hasOwn(client.controlConnection, '_refresh')).toBe(true)
  })
})
