import { setTimeout as delay } from 'node:timers/promises'
import { resetUnfinished } from '../commit/offset-metadata.js'
import type { KafkaAdmin } from '../kafka/admin.js'
import { isKafkaError } from '../kafka/errors.js'
import type { GroupAdmin } from '../kafka/group-admin.js'
import { CliError } from './failure.js'
import type { ResetPlan } from './reset-plan.js'

/** The steps in their order. */
export const RESET_STEPS = [
  'offsets marked: the application refuses to start until this is done',
  'offsets of internal topics taken away',
  'internal topics deleted',
  'local state deleted',
  'offsets set',
] as const

const GONE_WITHIN_MS = 60_000
const GONE_POLL_MS = 100

/**
 * Does what was planned. State and offsets must never disagree without anybody noticing: offsets that are ahead of a
 * state which is gone lose records, offsets before a state that is still there count them twice. So the offsets are
 * marked first and cleared last, and validate.ts refuses a marked one.
 *
 * 1. Commit to every input partition where it goes, marked. The broker takes it from an outsider only while the group has
 *    no members. Crash before: nothing has happened. Crash after: everything is there, and nothing starts on it. From
 *    here on a second run finds the partitions and the mark in the group, and does all steps again.
 * 2. Take away the committed offsets of internal topics, while the topics are still known to the broker. Made anew they
 *    begin at 0, and an old offset would skip what is in them. Crash after: as 1.
 * 3. Delete the internal topics. Crash in between: some are gone; the mark holds. State on other machines belongs to
 *    topic ids that do not exist any more and is dropped by its instance, but for tasks without stores, which go on where
 *    their state ends if the group has no offsets: with `none` those who reset are told to delete it.
 * 4. Delete the local state. Crash in between: an engine may be torn; the mark holds.
 * 5. Commit the offsets without the mark, or delete the group for `none`. Crash before: as 4. After: done.
 *
 * A group without offsets cannot be marked. There step 3 decides, one request that Kafka carries out as a whole: before it
 * the state is what it was, after it there is none, and the application begins at the beginning.
 * @param done told after each step; what it throws ends the reset there
 * @throws CliError when an instance was started meanwhile; KafkaError
 */
export async function executeReset(
  { admin, groups }: { admin: KafkaAdmin; groups: GroupAdmin },
  plan: ResetPlan,
  done: (step: (typeof RESET_STEPS)[number]) => void,
): Promise<void> {
  const { applicationId, offsets, internalOffsets, internalTopics, local } = plan
  const kept = offsets.flatMap(({ topic, partition, from, to }) => {
    const offset = to ?? from
    return offset === null ? [] : [{ topic, partition, offset }]
  })
  const commit = (metadata: string) =>
    groups.commitOffsets(
      applicationId,
      kept.map((one) => ({ ...one, metadata })),
    )

  await withoutMembers(commit(resetUnfinished(plan.stores)), 'nothing was changed: stop it, and run this again')
  done(RESET_STEPS[0])

  await withoutMembers(groups.deleteOffsets(applicationId, internalOffsets), HALF_WAY)
  done(RESET_STEPS[1])

  if (internalTopics.length > 0) await admin.deleteTopics(internalTopics)
  await untilGone(admin, internalTopics)
  done(RESET_STEPS[2])

  for (const state of local) await state.delete()
  done(RESET_STEPS[3])

  if (plan.target.kind !== 'none') await withoutMembers(commit(''), HALF_WAY)
  else if (plan.groupExists) await withoutMembers(admin.deleteGroup(applicationId), HALF_WAY)
  done(RESET_STEPS[4])
}

const HALF_WAY = 'the reset is half done and the instance cannot work: stop it, and run this again'
const HAS_MEMBERS = ['UNKNOWN_MEMBER_ID', 'NON_EMPTY_GROUP', 'GROUP_SUBSCRIBED_TO_TOPIC', 'REBALANCE_IN_PROGRESS']

async function withoutMembers(request: Promise<void>, whatNow: string): Promise<void> {
  try {
    await request
  } catch (error) {
    if (!isKafkaError(error, ...HAS_MEMBERS)) throw error
    throw new CliError(`an instance was started meanwhile: ${whatNow}`, 1, { cause: error })
  }
}

/** An application that starts at once must not find the old topics again. */
async function untilGone(admin: KafkaAdmin, topics: readonly string[]): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS
  for (;;) {
    const [left] = await admin.describeTopics(topics)
    if (left === undefined) return
    if (performance.now() > deadline) {
      throw new CliError(
        `topic ${left.name} is still there ${GONE_WITHIN_MS / 1000} s after it was deleted: run this again`,
      )
    }
    await delay(GONE_POLL_MS)
  }
}
