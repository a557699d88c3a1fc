/**
 * A running sum that keeps apart what rounding lost (Neumaier 1974, the improved Kahan–Babuška algorithm), so that a
 * million prices add up as if the sum had twice the digits. Two halves can be merged without losing it again.
 * https://en.wikipedia.org/wiki/Kahan_summation_algorithm#Further_enhancements
 */
export interface Sum {
  sum: number
  compensation: number
}

export function emptySum(): Sum {
  return { sum: 0, compensation: 0 }
}

export function addToSum(into: Sum, value: number): void {
  const { sum } = into
  const total = sum + value
  into.compensation += Math.abs(sum) >= Math.abs(value) ? sum - total + value : value - total + sum
  into.sum = total
}

/** Adds another sum. Order matters in the last bit, so merges go in ascending order everywhere. */
export function mergeSum(into: Sum, other: Sum): void {
  addToSum(into, other.sum)
  into.compensation += other.compensation
}

export function valueOf({ sum, compensation }: Sum): number {
  return sum + compensation
}
