/** Requests of Kafka's protocol that a fault may wait for, by api key. https://kafka.apache.org/protocol#protocol_api_keys */
export const REQUESTS = {
  Produce: 0,
  OffsetCommit: 8,
  OffsetFetch: 9,
  JoinGroup: 11,
  Heartbeat: 12,
  SyncGroup: 14,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  EndTxn: 26,
  TxnOffsetCommit: 28,
} as const

export type RequestName = keyof typeof REQUESTS

/** A moment of the protocol: when the process sends its next such request, or when the broker has it. */
export interface Moment {
  readonly request: RequestName
  readonly moment: 'before' | 'after'
}

const NAMES = new Map<number, RequestName>(
  Object.entries(REQUESTS).map(([name, apiKey]) => [apiKey, name as RequestName]),
)

export function requestName(apiKey: number): RequestName | undefined {
  return NAMES.get(apiKey)
}
