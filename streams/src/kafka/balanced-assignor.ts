import type { GroupAssignor, MemberAssignment } from './group-member.js'

/**
 * Deals out the partitions of all subscribed topics one by one to the members in the order of their ids, so that nobody
 * has more than one partition more than anybody else. For members without state: it does not try to keep partitions
 * where they were. Everybody gets the same answer for the same members and topics.
 *
 * @param partitionCounts the current number of partitions of each topic
 */
export function balancedAssignor(partitionCounts: () => Promise<ReadonlyMap<string, number>>): GroupAssignor {
  return {
    name: 'candlewick-balanced',
    userData: () => Buffer.alloc(0),
    async assign(members) {
      const counts = await partitionCounts()
      const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1))
      const assigned = new Map<string, MemberAssignment>()
      for (const { memberId } of sorted) assigned.set(memberId, { partitions: new Map(), userData: Buffer.alloc(0) })
      let turn = 0
      for (const topic of [...counts.keys()].sort()) {
        const subscribed = sorted.filter(({ topics }) => topics.includes(topic))
        for (let partition = 0; subscribed.length > 0 && partition < counts.get(topic)!; partition++) {
          const { partitions } = assigned.get(subscribed[turn++ % subscribed.length]!.memberId)!
          partitions.set(topic, [...(partitions.get(topic) ?? []), partition])
        }
      }
      return assigned
    },
  }
}
