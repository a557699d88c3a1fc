/** Kafka's requests list partitions topic by topic; the order of the first appearance of each topic is kept. */
export function byTopic<T extends { topic: string }>(entries: readonly T[]): [topic: string, entries: T[]][] {
  const topics = new Map<string, T[]>()
  for (const entry of entries) {
    const known = topics.get(entry.topic)
    if (known === undefined) topics.set(entry.topic, [entry])
    else known.push(entry)
  }
  return [...topics]
}
