import { setImmediate as afterWhatIsThere } from 'node:timers/promises'

export interface HedgeOptions<Candidate, Reply> {
  candidates: readonly Candidate[]
  /** Never rejects; aborting the signal makes the reply worthless. */
  ask(candidate: Candidate, signal: AbortSignal): Promise<Reply>
  /** How long to wait for one before the next is asked as well. */
  patienceMs(candidate: Candidate): number
  /** How good a reply is; 0 = the next candidate is to be asked at once, Infinity = no other can be better. */
  valueOf(reply: Reply): number
  /** Ends it without an answer. */
  signal: AbortSignal
}

export interface HedgeResult<Candidate, Reply> {
  /** The best of the replies that are worth something. */
  readonly best: Reply | undefined
  /** Replies worth nothing, in the order in which they came. */
  readonly refusals: readonly Reply[]
  /** Who was given its time and said nothing. */
  readonly silent: readonly Candidate[]
}

/**
 * Asks one candidate after the other: the next one when the last one asked stays silent for longer than it may, and at
 * once when one refuses. The first good reply ends it, or a better one that has arrived by then; the others are aborted.
 * ("The tail at scale", Dean and Barroso, CACM 2013: hedged requests.)
 */
export function askHedged<Candidate, Reply>(
  options: HedgeOptions<Candidate, Reply>,
): Promise<HedgeResult<Candidate, Reply>> {
  const { candidates, ask, patienceMs, valueOf, signal } = options
  const over = new AbortController()
  const silent = new Set<Candidate>()
  const refusals: Reply[] = []
  let best: Reply | undefined
  let asked = 0
  let pending = 0
  let timer: NodeJS.Timeout | undefined

  return new Promise((resolve) => {
    const end = (): void => {
      if (over.signal.aborted) return
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      over.abort()
      resolve({ best, refusals, silent: [...silent] })
    }

    const askNext = (): void => {
      clearTimeout(timer)
      const candidate = candidates[asked]
      if (candidate === undefined) {
        if (pending === 0) end()
        return
      }
      asked++
      pending++
      void ask(candidate, over.signal).then((reply) => take(candidate, reply))
      timer = setTimeout(() => {
        silent.add(candidate)
        if (asked < candidates.length) askNext()
      }, patienceMs(candidate))
    }

    const take = (candidate: Candidate, reply: Reply): void => {
      if (over.signal.aborted) return
      pending--
      silent.delete(candidate)
      const value = valueOf(reply)
      if (value === 0) {
        refusals.push(reply)
        askNext()
        return
      }
      const isFirst = best === undefined
      if (best === undefined || value > valueOf(best)) best = reply
      if (value === Number.POSITIVE_INFINITY || pending === 0) end()
      // A better one may lie in its socket already.
      else if (isFirst) void afterWhatIsThere().then(end)
    }

    if (signal.aborted) end()
    else {
      signal.addEventListener('abort', end)
      askNext()
    }
  })
}
