/** Which input a state belongs to: what was read to make it, and the task's clocks. */
export interface Progress {
  /** Next offset to read per input topic. */
  readonly inputs: Readonly<Record<string, number>>
  /** TaskClock.toMetadata() */
  readonly clock: string
}

/**
 * The header of the last changelog record of each commit. It lets whoever reads the changelog know which input the state
 * belongs to at that point: a standby has the task's clocks, and a restored state is complete without the group's offsets.
 * The last record of a log is never compacted away, so a reader at its end has always seen the newest one.
 */
export const PROGRESS_HEADER = 'candlewick.progress'

export function encodeProgress({ inputs, clock }: Progress): Buffer {
  return Buffer.from(JSON.stringify({ inputs, clock }), 'utf8')
}

/** @returns undefined when it is not one: a changelog that something else wrote to */
export function decodeProgress(bytes: Buffer): Progress | undefined {
  try {
    const progress = JSON.parse(bytes.toString('utf8')) as Partial<Progress> | null
    const { inputs, clock } = progress ?? {}
    return typeof inputs === 'object' && inputs !== null && typeof clock === 'string' ? { inputs, clock } : undefined
  } catch {
    return undefined
  }
}

/** Of several points of one task the one that has read most; every commit of a task reads on from the one before. */
export function newest(all: readonly Progress[]): Progress | undefined {
  return all.reduce<Progress | undefined>(
    (best, one) => (best === undefined || offsetsOf(one) > offsetsOf(best) ? one : best),
    undefined,
  )
}

function offsetsOf({ inputs }: Progress): number {
  return Object.values(inputs).reduce((sum, offset) => sum + offset, 0)
}
