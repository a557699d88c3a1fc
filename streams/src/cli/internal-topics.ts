import { changelogTopic } from '../changelog/changelog-topics.js'

export interface InternalTopics {
  readonly own: readonly string[]
  /** Named like ours, but another group's name fits them better: an application `a` must not take those of `a-b`. */
  readonly others: readonly { readonly topic: string; readonly groupId: string }[]
}

const INTERNAL = ['-changelog', '-repartition']

/**
 * Which topics an application has made for itself, told by their names. Application ids may begin with one another, so a
 * topic that also fits the longer id of another group is that group's, unless this application's own commits name it.
 * @param topics of the cluster
 * @param groupIds of the cluster
 * @param stores that the application's committed offsets or its assignment tell of
 */
export function internalTopics(
  applicationId: string,
  topics: readonly string[],
  groupIds: readonly string[],
  stores: readonly string[],
): InternalTopics {
  const known = new Set(stores.map((store) => changelogTopic(applicationId, store)))
  const longer = groupIds.filter((groupId) => groupId.startsWith(`${applicationId}-`))
  const own: string[] = []
  const others: { topic: string; groupId: string }[] = []
  for (const topic of topics) {
    if (!topic.startsWith(`${applicationId}-`) || !INTERNAL.some((ending) => topic.endsWith(ending))) continue
    const groupId = longer.find((id) => topic.startsWith(`${id}-`))
    if (groupId === undefined || known.has(topic)) own.push(topic)
    else others.push({ topic, groupId })
  }
  return { own, others }
}
