/**
 * The work's outcome, or the signal's reason as soon as it aborts. The work itself is not stopped; what becomes of it
 * after that is nobody's concern any more.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      reject(signal.reason as Error)
    }
    if (signal.aborted) aborted()
    signal.addEventListener('abort', aborted, { once: true })
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', aborted)
    })
  })
}
