import { setTimeout as delay } from 'node:timers/promises'

/** Asks again until the answer is not undefined; the last word is what was seen when time ran out. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { timeoutMs = 60_000, everyMs = 200 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  let complaint = ''
  while (performance.now() < deadlineMs) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      complaint = `; last: ${error instanceof Error ? error.message : String(error)}`
    }
    await delay(everyMs)
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}${complaint}`)
}

/** GET as JSON; throws for anything but 2xx. */
export async function getJson<T>(url: string): Promise<T> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  return (await answer.json()) as T
}
