import { json, keyValueStore, StreamsBuilder, tumbling, utf8, windowStore, type Topology } from '@candlewick/streams'
import { alertSerde, type Alert } from './alert.js'
import { paymentSerde } from './payment.js'
import { addPayment, judgePayment, judgeWindow, nothingSpent, RULES, type Spending, type Told } from './rules.js'
import { topicNames } from './topics.js'

const DAY_MS = 24 * 3_600_000
const spendingSerde = json<Spending>()

/** What each card has spent per window; kept for a day, for whoever asks. */
export const windows = windowStore('windows', { key: utf8, value: spendingSerde, retentionMs: DAY_MS })
/** What each card has spent in all. A card that is not used for a year is forgotten. */
export const cards = keyValueStore('cards', { key: utf8, value: spendingSerde, ttlMs: 365 * DAY_MS })
/** Which windows were told of. */
const told = keyValueStore('told', { key: utf8, value: json<readonly Told[]>(), ttlMs: DAY_MS })

export function fraudTopology({ rules = RULES, topics = topicNames() } = {}): Topology {
  const { windowMs, graceMs } = rules
  const builder = new StreamsBuilder()
  const payments = builder.stream(topics.payments, {
    key: utf8,
    value: paymentSerde,
    timestamp: ({ timeMs }) => timeMs,
    check: ({ card }, key) => (card === key ? undefined : 'the key of a payment must be its card'),
    deadLetterTopic: topics.deadLetters,
  })
  const toAlerts = { key: utf8, value: alertSerde }

  // Each commit announces the windows that changed; a second look remembers which of them were told of.
  const judge = judgeWindow(rules)
  payments
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: windowMs, graceMs }))
    .aggregate(windows, nothingSpent, addPayment)
    .emit({ openAtMostEveryMs: 0, closedAfterMs: graceMs })
    .mapValues(({ window, value }, card) => ({ card, window, value }))
    .processValues(
      told,
      () => [],
      (state, window, _record, tell: (alert: Alert) => void) => judge(state, window, tell),
    )
    .to(topics.alerts, toAlerts)

  // A single payment is judged as it comes, by the average of those before it.
  const judgeOne = judgePayment(rules)
  payments
    .processValues(cards, nothingSpent, (soFar, payment, _record, tell: (alert: Alert) => void) =>
      judgeOne(soFar, payment, tell),
    )
    .to(topics.alerts, toAlerts)

  return builder.build()
}
