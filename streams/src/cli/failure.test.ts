import { expect, it } from 'vitest'
import { StreamsError } from '../errors.js'
import { KafkaError } from '../kafka/errors.js'
import { CliError, sentenceOf } from './failure.js'

it.each([
  [KafkaError.connection('refused', false, { broker: 'k:9092' }), /^no Kafka answers at k:9092: check --brokers/],
  [KafkaError.tls('self-signed', { broker: 'k:9092' }), /^k:9092 and this command do not accept each other/],
  [KafkaError.named('SASL_AUTHENTICATION_FAILED', {}, 'bad login'), /^the login was refused: check sasl in --config/],
  [
    KafkaError.named('GROUP_AUTHORIZATION_FAILED', { groupId: 'app' }),
    /^this user has no right .* group app: .*Describe/,
  ],
  [
    KafkaError.named('TOPIC_AUTHORIZATION_FAILED', { topic: 'app-x-changelog' }),
    /right .* topic app-x-changelog: .*Delete/,
  ],
  [new StreamsError('LOCKED', 'another process uses it'), /^another process uses it$/],
  [new CliError('there is nothing'), /^there is nothing$/],
])('%s is told in one sentence', (error, sentence) => {
  expect(sentenceOf(error)).toMatch(sentence)
  expect(sentenceOf(error)).not.toContain('\n')
})

it('a mistake in the program itself is not', () => {
  expect(sentenceOf(new TypeError('undefined is not a function'))).toBeUndefined()
})
