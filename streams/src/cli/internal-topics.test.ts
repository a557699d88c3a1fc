import { expect, it } from 'vitest'
import { internalTopics } from './internal-topics.js'

it('are those that begin with the application id and end as internal topics do', () => {
  const topics = [
    'app',
    'app-in',
    'app-sums-changelog',
    'app-by-user-repartition',
    'apple-sums-changelog',
    'app-changelogs',
  ]
  expect(internalTopics('app', topics, ['app', 'apple'], [])).toEqual({
    own: ['app-sums-changelog', 'app-by-user-repartition'],
    others: [],
  })
})

it('an application never takes those of another whose id begins with its own', () => {
  const topics = ['app-sums-changelog', 'app-eu-sums-changelog', 'app-eu-users-repartition']
  expect(internalTopics('app', topics, ['app', 'app-eu'], [])).toEqual({
    own: ['app-sums-changelog'],
    others: [
      { topic: 'app-eu-sums-changelog', groupId: 'app-eu' },
      { topic: 'app-eu-users-repartition', groupId: 'app-eu' },
    ],
  })
  expect(internalTopics('app-eu', topics, ['app', 'app-eu'], [])).toEqual({
    own: ['app-eu-sums-changelog', 'app-eu-users-repartition'],
    others: [],
  })
})

it('what its own commits name is its own, whatever other groups are called', () => {
  expect(internalTopics('app', ['app-eu-sums-changelog'], ['app-eu'], ['eu-sums'])).toEqual({
    own: ['app-eu-sums-changelog'],
    others: [],
  })
})
