import { expect, it } from 'vitest'
import { describeText } from './describe-text.js'
import type { ApplicationDescription } from './describe.js'

const input = (topic: string, partition: number, committed: number | null, end: number, pending = false) => {
  return { topic, partition, committed, end, lag: committed === null ? null : end - committed, pending }
}
const member = (instance: string, endpoint: string | null) => {
  return {
    memberId: `${instance}-1`,
    clientId: 'app',
    host: '10.0.0.7',
    instance,
    endpoint,
    standing: 'member' as const,
  }
}

const RUNNING: ApplicationDescription = {
  applicationId: 'app',
  state: 'Stable',
  generation: 12,
  epoch: '3fa5',
  members: [member('one', 'http://one:8083'), { ...member('two', null), standing: 'duplicate' }],
  tasks: [
    {
      id: '0_0',
      active: 'one',
      standbys: ['two'],
      warmups: ['two'],
      inputs: [input('trades', 0, 12_345, 12_400)],
      changelogs: [{ topic: 'app-minutes-changelog', partition: 0, end: 5_230 }],
    },
    {
      id: '0_1',
      active: null,
      standbys: [],
      warmups: [],
      inputs: [input('trades', 1, null, 7), input('rates', 1, null, 9, true)],
      changelogs: [],
    },
  ],
  otherInputs: [],
  otherInternalTopics: [],
}

it('shows the group, its members and every task with its inputs and changelogs', () => {
  expect(describeText(RUNNING).join('\n')).toBe(
    `
application app: group Stable, generation 12, assignment 3fa5

instance  endpoint         host      client
one       http://one:8083  10.0.0.7  app
two       -                10.0.0.7  app     no task: an older process has its instance id

task  active  standbys            topic                    committed     end  lag
0_0   one     two (to take over)  trades-0                    12,345  12,400   55
                                  app-minutes-changelog-0              5,230
0_1   -       -                   trades-1                         -       7    -
                                  rates-1                  undecided       9    -
`.trim(),
  )
})

it('shows offsets and internal topics when no instance runs that would tell its tasks', () => {
  const stopped: ApplicationDescription = {
    ...RUNNING,
    ...{ state: 'Empty', generation: null, epoch: null, members: [], tasks: [] },
    otherInputs: [input('trades', 0, 5, 7)],
    otherInternalTopics: ['app-minutes-changelog'],
  }
  expect(describeText(stopped).join('\n')).toBe(
    `
application app: group Empty (no instance runs)

topic     committed  end  lag
trades-0          5    7    2

internal topics
  app-minutes-changelog
`.trim(),
  )
})
