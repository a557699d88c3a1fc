/**
 * Waits for all of it, also when a part fails: what is tried again must not meet what is still under way.
 * @throws what failed first in the order of `work`
 */
export async function allDone<T>(work: Iterable<Promise<T>>): Promise<T[]> {
  const outcomes = await Promise.allSettled(work)
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}
