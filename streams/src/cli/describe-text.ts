import type { ApplicationDescription, InputDescription, TaskDescription } from './describe.js'
import { table } from './table.js'

const STANDING = {
  member: '',
  duplicate: 'no task: an older process has its instance id',
  stranger: 'no task: it runs another topology, or none of this library',
  unknown: '',
}

/** What `streams describe` prints. */
export function describeText(description: ApplicationDescription): string[] {
  const { applicationId, state, generation, epoch, members, tasks, otherInputs, otherInternalTopics } = description
  const assignment = generation === null ? [] : [`generation ${generation}`, `assignment ${epoch}`]
  const blocks = [
    [`application ${applicationId}: ${[stateText(state), ...assignment].join(', ')}`],
    table(
      ['instance', 'endpoint', 'host', 'client', ''],
      members.map(({ instance, endpoint, host, clientId, standing }) => {
        return [instance, endpoint, host, clientId, STANDING[standing]]
      }),
    ),
    table(['task', 'active', 'standbys', 'topic', 'committed', 'end', 'lag'], tasks.flatMap(rowsOf)),
    otherInputs.length === 0 ? [] : otherInputsText(otherInputs, tasks.length > 0),
    otherInternalTopics.length === 0
      ? []
      : [
          tasks.length > 0 ? 'internal topics of no known task' : 'internal topics',
          ...otherInternalTopics.map((topic) => `  ${topic}`),
        ],
  ]
  return blocks.filter((block) => block.length > 0).flatMap((block, index) => (index === 0 ? block : ['', ...block]))
}

function stateText(state: string): string {
  switch (state) {
    case 'Dead':
      return 'no group (it never ran, or its offsets have expired)'
    case 'Empty':
      return 'group Empty (no instance runs)'
    case 'Stable':
      return 'group Stable'
    default:
      return `group ${state} (ask again in a moment for its tasks)`
  }
}

function rowsOf({ id, active, standbys, warmups, inputs, changelogs }: TaskDescription) {
  const ready = standbys.map((instance) => (warmups.includes(instance) ? `${instance} (to take over)` : instance))
  const lines = [
    ...inputs.map((input) => inputCells(input)),
    ...changelogs.map(({ topic, partition, end }) => [`${topic}-${partition}`, '', end, '']),
  ]
  return lines.map((cells, index) => {
    return index === 0 ? [id, active, ready.length === 0 ? null : ready.join(', '), ...cells] : ['', '', '', ...cells]
  })
}

function inputCells({ topic, partition, committed, end, lag, pending }: InputDescription) {
  return [`${topic}-${partition}`, pending ? 'undecided' : committed, end, lag]
}

function otherInputsText(inputs: readonly InputDescription[], hasTasks: boolean): string[] {
  const title = hasTasks ? ['committed, but read by no task'] : []
  return [...title, ...table(['topic', 'committed', 'end', 'lag'], inputs.map(inputCells))]
}
