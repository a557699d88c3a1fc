import { expect, it } from 'vitest'
import { createLogger } from './logger.js'
import { tryFor } from './try-for.js'

const log = createLogger('test', 'silent')

/** Fails so many times, then gives how often it was asked. */
function failing(times: number): () => Promise<number> {
  let asked = 0
  return async () => {
    if (asked++ < times) throw new Error('not yet')
    return asked
  }
}

it('tries again until it works', async () => {
  expect(await tryFor(10, failing(2), { log })).toBe(3)
})

it('throws what the last try threw when the time is over; without time there is one try', async () => {
  await expect(tryFor(0.3, failing(99), { log })).rejects.toThrow('not yet')
  await expect(tryFor(0, failing(1), { log })).rejects.toThrow('not yet')
})

it('does not wait for what will not pass', async () => {
  await expect(tryFor(60, failing(1), { log, mayPass: () => false })).rejects.toThrow('not yet')
})
