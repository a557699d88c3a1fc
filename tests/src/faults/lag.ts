import type { Admin } from 'kafkajs'

/** Records of these topics that the group has not committed yet, by KafkaJS's own admin; all of them when it has committed nothing. */
export async function lagOf(
  admin: Admin,
  groupId: string,
  topics: readonly string[],
): Promise<{ lag: number; end: number }> {
  const committed = await admin.fetchOffsets({ groupId, topics: [...topics] })
  let lag = 0
  let end = 0
  for (const { topic, partitions } of committed) {
    const bounds = await admin.fetchTopicOffsets(topic)
    for (const { partition, high, low } of bounds) {
      const position = Number(partitions.find((known) => known.partition === partition)?.offset ?? -1)
      lag += Math.max(0, Number(high) - Math.max(position, Number(low)))
      end += Number(high)
    }
  }
  return { lag, end }
}

/** How far a group is behind in time: for how long the oldest record it has not committed has been there. */
export class LagClock {
  readonly #seen: { atMs: number; end: number }[] = []
  lag = 0
  behindMs = 0
  worstMs = 0

  /** To be told a few times a second. */
  take({ lag, end }: { lag: number; end: number }, nowMs: number): void {
    this.#seen.push({ atMs: nowMs, end })
    const committed = end - lag
    while (this.#seen.length > 1 && this.#seen[0]!.end <= committed) this.#seen.shift()
    const oldest = this.#seen[0]!
    this.lag = lag
    this.behindMs = oldest.end > committed ? nowMs - oldest.atMs : 0
    this.worstMs = Math.max(this.worstMs, this.behindMs)
  }
}
