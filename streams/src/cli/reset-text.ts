import { changelogTopic } from '../changelog/changelog-topics.js'
import type { ResetTarget } from './command-line.js'
import type { ResetPlan } from './reset-plan.js'
import { table } from './table.js'

/** What a reset is going to do, as `streams reset` prints it. */
export function planText(plan: ResetPlan): string[] {
  const { applicationId, target, offsets, internalTopics, othersTopics, local, looksAtLocal, unfinished } = plan
  const named = new Set(plan.stores.map((store) => changelogTopic(applicationId, store)))
  const unnamed = internalTopics.filter((topic) => !named.has(topic))
  const directories = local.flatMap(({ taskDirectories }) => taskDirectories)
  return [
    `application ${applicationId}, to begin again at ${targetText(target)}`,
    ...(unfinished ? ['an earlier reset was interrupted: this one finishes it'] : []),
    '',
    ...(offsets.length === 0
      ? ['committed offsets: none']
      : table(
          ['topic', 'partition', 'committed', 'goes to'],
          offsets.map(({ topic, partition, from, to }) => [topic, String(partition), from, to]),
        )),
    '',
    ...list(
      'internal topics to be deleted',
      internalTopics.filter((topic) => named.has(topic)),
    ),
    ...(unnamed.length === 0
      ? []
      : list('and, for their names alone (make sure that they are not those of an application at rest)', unnamed)),
    ...(othersTopics.length === 0
      ? []
      : list('left alone, for they fit another group better', othersTopics.map(other))),
    ...(looksAtLocal ? list('local state to be deleted', directories) : ['local state: not looked at (--state-dir)']),
    ...(target.kind === 'none'
      ? [
          'delete the state directories that are not named here yourself: tasks without stores would go on where they end',
        ]
      : []),
    // Which these are is the topology's knowledge, not Kafka's. Beginning at the end reads nothing again.
    ...(target.kind === 'latest'
      ? []
      : ['a topic that the application both writes and reads has to be emptied first, or its records count twice']),
  ]
}

function targetText(target: ResetTarget): string {
  switch (target.kind) {
    case 'earliest':
      return 'the oldest records'
    case 'latest':
      return 'what comes from now on'
    case 'none':
      return 'the oldest records, as one that never ran: without offsets'
    case 'time':
      return `records of ${new Date(target.timestampMs).toISOString()} or later`
  }
}

const other = ({ topic, groupId }: { topic: string; groupId: string }) => `${topic} (group ${groupId})`

function list(title: string, entries: readonly string[]): string[] {
  return entries.length === 0 ? [`${title}: none`] : [`${title}:`, ...entries.map((entry) => `  ${entry}`)]
}
