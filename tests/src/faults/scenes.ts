import { type Random } from '@candlewick/dev/exchange/random'
import { between, shuffled } from './chance.js'

/** What can be done to the system; `processor` is 0, 1, 2. */
export type Act =
  | { readonly what: 'kill' | 'terminate' | 'start' | 'delete state'; readonly processor: number }
  /** SIGSTOP and SIGCONT. */
  | { readonly what: 'stop' | 'continue'; readonly processor: number }
  /** Its connections to Kafka: broken now, or as soon as the broker has taken a request and before it is answered. */
  | { readonly what: 'cut' | 'cut mid-request'; readonly processor: number }
  /** Nothing moves between it and Kafka; then what was held up is delivered late, or the connections are gone. */
  | { readonly what: 'isolate' | 'reconnect, deliver late' | 'reconnect, drop'; readonly processor: number }
  | { readonly what: 'kill' | 'terminate' | 'start'; readonly server: 'kafka' | 'cassandra' }

export type TimedAct = Act & { readonly afterMs: number }

/** After this long without a sign of life the group goes on without a member; the least a broker allows by default. */
export const SESSION_TIMEOUT_MS = 6_000

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

  stall: (random, processors) => frozen(random, processors, [200, 4_000]),

  zombie: (random, processors) => frozen(random, processors, [SESSION_TIMEOUT_MS + 1_500, SESSION_TIMEOUT_MS + 6_000]),

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
      const processor =
        acts.length < 10 ? between(random, [0, processors - 1]) : range(processors).find((p) => !up.has(p))!
      if (up.delete(processor)) {
        acts.push({ what: random() < 0.7 ? 'terminate' : 'kill', processor, afterMs })
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
    const all = random() < 0.25
    const what = random() < 0.7 ? 'cut mid-request' : 'cut'
    const hit = all ? range(processors) : [between(random, [0, processors - 1])]
    return hit.map((processor) => ({ what, processor, afterMs: 0 }))
  },

  isolation: (random, processors) => {
    const processor = between(random, [0, processors - 1])
    const past = random() < 0.5
    const forMs = between(random, past ? [SESSION_TIMEOUT_MS + 1_500, SESSION_TIMEOUT_MS + 6_000] : [500, 4_000])
    const what = random() < 0.5 ? 'reconnect, deliver late' : 'reconnect, drop'
    return [
      { what: 'isolate', processor, afterMs: 0 },
      { what, processor, afterMs: forMs },
    ]
  },

  'cassandra bounce': (random) => bounced(random, 'cassandra', [1_000, 10_000]),
} satisfies Record<string, (random: Random, processors: number) => TimedAct[]>

export type Scene = keyof typeof SCENES

/** At once, soon, or when the others have taken over. */
function downtimeMs(random: Random): number {
  const kind = random()
  if (kind < 0.3) return 0
  return between(random, kind < 0.7 ? [300, 3_000] : [SESSION_TIMEOUT_MS + 1_000, SESSION_TIMEOUT_MS + 4_000])
}

function killed(random: Random, processor: number): TimedAct[] {
  const afterMs = between(random, [0, 500])
  return [
    { what: 'kill', processor, afterMs },
    { what: 'start', processor, afterMs: afterMs + 50 + downtimeMs(random) },
  ]
}

function frozen(random: Random, processors: number, forMs: readonly [number, number]): TimedAct[] {
  const processor = between(random, [0, processors - 1])
  return [
    { what: 'stop', processor, afterMs: 0 },
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
