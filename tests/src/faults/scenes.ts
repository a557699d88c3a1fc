import { type Random } from '@candlewick/dev/exchange/random'
import { between, oneOf, shuffled } from './chance.js'
import type { Moment, RequestName } from './requests.js'

/** What can be done to the system; `processor` is 0, 1, 2. Without `at` it is done at once. */
export type Act =
  | { readonly what: 'terminate' | 'start' | 'delete state'; readonly processor: number }
  | { readonly what: 'kill'; readonly processor: number; readonly at?: Moment }
  /** SIGSTOP and SIGCONT. Stopped before a request, that request is held back and goes on with the SIGCONT. */
  | { readonly what: 'stop'; readonly processor: number; readonly at?: Moment }
  | { readonly what: 'continue'; readonly processor: number }
  /** Its connections to Kafka are broken; after a request that means: when it is answered. */
  | { readonly what: 'cut'; readonly processor: number; readonly at?: Moment }
  /** Nothing moves between it and Kafka; then what was held up is delivered late, or the connections are gone. */
  | { readonly what: 'isolate'; readonly processor: number; readonly at?: Moment }
  | { readonly what: 'reconnect, deliver late' | 'reconnect, drop'; readonly processor: number }
  | { readonly what: 'kill' | 'terminate' | 'start'; readonly server: 'kafka' | 'cassandra' }

export type TimedAct = Act & { readonly afterMs: number }

/** After this long without a sign of life the group goes on without a member; the least a broker allows by default. */
export const SESSION_TIMEOUT_MS = 6_000

const PAST_SESSION_MS: readonly [number, number] = [SESSION_TIMEOUT_MS + 1_500, SESSION_TIMEOUT_MS + 6_000]

/** A commit has all of the first four; of the others one comes now and then. */
const MOMENTS: readonly RequestName[] = [
  ...(['EndTxn', 'EndTxn', 'TxnOffsetCommit', 'TxnOffsetCommit', 'Produce', 'AddPartitionsToTxn'] as const),
  ...(['Heartbeat', 'OffsetCommit'] as const),
]

/** What a zombie still has to say when others have taken over: all of a commit, or all but its beginning. */
const OF_A_COMMIT: readonly RequestName[] = ['AddPartitionsToTxn', 'Produce', 'TxnOffsetCommit', 'EndTxn']

/** Each makes a sequence of acts that ends with everything up and whole. The last act is the longest after the start. */
export const SCENES = {
  kill: (random, processors) => killed(random, between(random, [0, processors - 1])),

  'kill two': (random, processors) => {
    const [one = 0, other = 0] = shuffled(random, range(processors))
    return byTime([...killed(random, one), ...killed(random, other)])
  },

  'lost disk': (random, processors) => {
    const processor = between(random, [0, processors - 1])
    const downMs = downtimeMs(random)
    return [
      { what: 'kill', processor, afterMs: 0 },
      { what: 'delete state', processor, afterMs: 50 },
      { what: 'start', processor, afterMs: 100 + downMs },
    ]
  },

  stall: (random, processors) => stopped(random, processors, { forMs: [200, 4_000], ...someMoment(random) }),

  zombie: (random, processors) => stopped(random, processors, { forMs: PAST_SESSION_MS, ...startOfCommit(random) }),

  'rolling restart': (random, processors) => {
    let afterMs = 0
    return shuffled(random, range(processors)).flatMap((processor): TimedAct[] => {
      const startMs = afterMs + 200
      const acts: TimedAct[] = [
        { what: 'terminate', processor, afterMs },
        { what: 'start', processor, afterMs: startMs },
      ]
      afterMs = startMs + between(random, [2_500, 5_000])
      return acts
    })
  },

  'scale 3-1-3': (random, processors) => {
    const acts: TimedAct[] = []
    let afterMs = 0
    for (let time = 0; time < 2; time++) {
      const leaving = shuffled(random, range(processors)).slice(1)
      for (const processor of leaving) {
        acts.push({ what: 'terminate', processor, afterMs })
        afterMs += between(random, [50, 2_000])
      }
      afterMs += between(random, [5_000, 9_000])
      for (const processor of leaving) {
        acts.push({ what: 'start', processor, afterMs })
        afterMs += between(random, [50, 3_000])
      }
      afterMs += between(random, [5_000, 8_000])
    }
    return acts
  },

  /** Ten joins and leaves within a minute. */
  storm: (random, processors) => {
    const up = new Set(range(processors))
    const acts: TimedAct[] = []
    let afterMs = 0
    while (acts.length < 10 || up.size < processors) {
      const isDone = acts.length >= 10
      const processor = isDone ? range(processors).find((one) => !up.has(one))! : between(random, [0, processors - 1])
      const isUp = up.delete(processor)
      if (isUp && random() < 0.7) {
        acts.push({ what: 'terminate', processor, afterMs })
      } else if (isUp) {
        acts.push({ what: 'kill', processor, afterMs, ...someMoment(random) })
      } else {
        up.add(processor)
        acts.push({ what: 'start', processor, afterMs })
      }
      afterMs += between(random, [1_500, 4_500])
    }
    return acts
  },

  'broker bounce': (random) => bounced(random, 'kafka', [500, 8_000]),

  cut: (random, processors) => {
    const hit = random() < 0.25 ? range(processors) : [between(random, [0, processors - 1])]
    return hit.map((processor) => ({ what: 'cut', processor, afterMs: 0, ...someMoment(random) }))
  },

  isolation: (random, processors) => {
    const processor = between(random, [0, processors - 1])
    const past = random() < 0.5
    const forMs = between(random, past ? PAST_SESSION_MS : [500, 4_000])
    const what = random() < 0.5 ? 'reconnect, deliver late' : 'reconnect, drop'
    return [
      { what: 'isolate', processor, afterMs: 0, ...(past ? startOfCommit(random) : someMoment(random)) },
      { what, processor, afterMs: forMs },
    ]
  },

  'cassandra bounce': (random) => bounced(random, 'cassandra', [1_000, 10_000]),
} satisfies Record<string, (random: Random, processors: number) => TimedAct[]>

export type Scene = keyof typeof SCENES

/** Mostly one at which something is at stake. */
function someMoment(random: Random): { at?: Moment } {
  const request = oneOf(random, MOMENTS)
  const moment = oneOf(random, ['before', 'after'] as const)
  return random() < 0.75 ? { at: { request, moment } } : {}
}

/** Mostly with a commit under way that the broker does not know yet, or not all of. */
function startOfCommit(random: Random): { at?: Moment } {
  const request = oneOf(random, OF_A_COMMIT)
  return random() < 0.8 ? { at: { request, moment: 'before' } } : {}
}

/** At once, soon, or when the others have taken over. */
function downtimeMs(random: Random): number {
  const kind = random()
  if (kind < 0.3) return 0
  return between(random, kind < 0.7 ? [300, 3_000] : [SESSION_TIMEOUT_MS + 1_000, SESSION_TIMEOUT_MS + 4_000])
}

function killed(random: Random, processor: number): TimedAct[] {
  const afterMs = between(random, [0, 500])
  return [
    { what: 'kill', processor, afterMs, ...someMoment(random) },
    { what: 'start', processor, afterMs: afterMs + 50 + downtimeMs(random) },
  ]
}

function stopped(
  random: Random,
  processors: number,
  { forMs, at }: { forMs: readonly [number, number]; at?: Moment },
): TimedAct[] {
  const processor = between(random, [0, processors - 1])
  return [
    { what: 'stop', processor, afterMs: 0, ...(at !== undefined && { at }) },
    { what: 'continue', processor, afterMs: between(random, forMs) },
  ]
}

function bounced(random: Random, server: 'kafka' | 'cassandra', downMs: readonly [number, number]): TimedAct[] {
  return [
    { what: random() < 0.6 ? 'kill' : 'terminate', server, afterMs: 0 },
    { what: 'start', server, afterMs: between(random, downMs) },
  ]
}

function byTime(acts: readonly TimedAct[]): TimedAct[] {
  return [...acts].sort((a, b) => a.afterMs - b.afterMs)
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}
