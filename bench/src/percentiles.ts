/**
 * A value of which so many hundredths of the sample are not larger (nearest rank: always one that was measured).
 * @param percent above 0, at most 100
 * @throws RangeError for an empty sample
 */
export function percentile(sample: readonly number[], percent: number): number {
  if (sample.length === 0) throw new RangeError('nothing was measured')
  const sorted = [...sample].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
}

/** `p50 12 ms  p99 340 ms  max 351 ms  (100)` */
export function summary(sampleMs: readonly number[]): string {
  if (sampleMs.length === 0) return 'nothing was measured'
  const told = (name: string, percent: number) => `${name} ${percentile(sampleMs, percent).toFixed(0).padStart(6)} ms`
  return `${told('p50', 50)}  ${told('p99', 99)}  ${told('max', 100)}  (${sampleMs.length})`
}
