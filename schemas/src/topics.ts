const DAY_MS = 24 * 60 * 60 * 1000

export interface TopicNames {
  readonly trades: string
  readonly deadLetters: string
  readonly averages: string
  readonly bars: string
}

/** What a topic is created with; a shape that the admin of streams/kafka takes. */
export interface TopicSpec {
  name: string
  partitions: number
  replicationFactor: number
  config: Record<string, string>
}

/** @param prefix put before every name, so that several systems can share a cluster */
export function topicNames(prefix = ''): TopicNames {
  return {
    trades: `${prefix}trades`,
    deadLetters: `${prefix}trades.dlq`,
    averages: `${prefix}averages`,
    bars: `${prefix}bars`,
  }
}

/**
 * The four topics with their settings. All are LogAppendTime: event time stands in the value, and by event time the
 * broker would delete a replayed day of years ago within minutes. `averages` and `bars` are keyed by symbol so that a
 * symbol's records share a partition; compaction keeps one record per symbol, hence `min.compaction.lag.ms`: a sink
 * that was away for less than that still sees every bar (7 days, as long as trades are kept) and every snapshot of the
 * averages (1 day).
 */
export function topicSpecs({
  partitions,
  replicationFactor,
  prefix = '',
}: {
  partitions: number
  replicationFactor: number
  prefix?: string
}): TopicSpec[] {
  const names = topicNames(prefix)
  const common = {
    'message.timestamp.type': 'LogAppendTime',
    // With three copies a write is acknowledged by two: one broker may be away, and none that is alone may lose it.
    'min.insync.replicas': replicationFactor >= 3 ? '2' : '1',
  }
  const spec = (name: string, config: Record<string, string>): TopicSpec => ({
    name,
    partitions,
    replicationFactor,
    config: { ...common, ...config },
  })
  return [
    spec(names.trades, { 'cleanup.policy': 'delete', 'retention.ms': String(7 * DAY_MS) }),
    spec(names.deadLetters, { 'cleanup.policy': 'delete', 'retention.ms': String(30 * DAY_MS) }),
    spec(names.averages, { 'cleanup.policy': 'compact', 'min.compaction.lag.ms': String(DAY_MS) }),
    spec(names.bars, {
      'cleanup.policy': 'compact,delete',
      'retention.ms': String(30 * DAY_MS),
      'min.compaction.lag.ms': String(7 * DAY_MS),
    }),
  ]
}
