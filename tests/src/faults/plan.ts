import { createRandom, type Random } from '@candlewick/dev/exchange/random'
import { between, shuffled } from './chance.js'
import { SCENES, type Act, type Scene, type TimedAct } from './scenes.js'

/** One thing that is done to the system, and when. */
export type Step = Act & {
  /** Since the faults began. */
  readonly atMs: number
  readonly scene: Scene
}

export interface PlanOptions {
  seed: string
  durationMs: number
  processors: number
}

/** What happens to processes, one after the other ... */
const PROCESS_DECK: readonly (readonly [Scene, number])[] = [
  ['kill', 4],
  ['kill two', 1],
  ['lost disk', 2],
  ['stall', 2],
  ['zombie', 3],
  ['rolling restart', 1],
  ['scale 3-1-3', 1],
  ['storm', 1],
]
/** ... while this happens to the broker and to connections. */
const NETWORK_DECK: readonly (readonly [Scene, number])[] = [
  ['broker bounce', 2],
  ['cut', 4],
  ['isolation', 3],
]

/** A round ends with a bounce of Cassandra, during which nothing else is done: the lag must not move for it. */
const ROUND_MS = 240_000
const CASSANDRA_SHARE = 0.3
const LONGEST_CASSANDRA_MS = 40_000

/** How long a scene takes is chance: a short time left may take it at the next try. */
const TRIES = 10

/** The same options give the same faults at the same times. Ascending; ends with everything up and whole. */
export function planFaults({ seed, durationMs, processors }: PlanOptions): Step[] {
  const steps: Step[] = []
  const processes = new Deck(PROCESS_DECK, createRandom(`${seed}/processes`), processors)
  const network = new Deck(NETWORK_DECK, createRandom(`${seed}/network`), processors)
  const cassandra = new Deck([['cassandra bounce', 1]], createRandom(`${seed}/cassandra`), processors)
  const rounds = Math.max(1, Math.round(durationMs / ROUND_MS))
  const roundMs = Math.floor(durationMs / rounds)
  const quietMs = Math.min(LONGEST_CASSANDRA_MS, Math.floor(roundMs * CASSANDRA_SHARE))
  for (let startMs = 0; startMs + roundMs <= durationMs; startMs += roundMs) {
    const busyUntilMs = startMs + roundMs - quietMs
    steps.push(...processes.deal({ fromMs: startMs, toMs: busyUntilMs, gapMs: [1_000, 5_000] }))
    steps.push(...network.deal({ fromMs: startMs, toMs: busyUntilMs, gapMs: [3_000, 9_000] }))
    steps.push(...cassandra.deal({ fromMs: busyUntilMs, toMs: startMs + roundMs, gapMs: [2_000, 3_000], most: 1 }))
  }
  return steps.sort((a, b) => a.atMs - b.atMs)
}

/** Scenes in random order, each as often as it stands in the deck before any comes again. */
class Deck {
  #cards: Scene[] = []

  constructor(
    private readonly kinds: readonly (readonly [Scene, number])[],
    private readonly random: Random,
    private readonly processors: number,
  ) {}

  /** Scenes one after the other, with gaps, as long as one fits; those that do not fit now stay in the deck. */
  deal(span: { fromMs: number; toMs: number; gapMs: readonly [number, number]; most?: number }): Step[] {
    const { toMs, gapMs, most = Infinity } = span
    const steps: Step[] = []
    let atMs = span.fromMs
    for (let dealt = 0; dealt < most; dealt++) {
      atMs += between(this.random, gapMs)
      const scene = this.#draw(toMs - atMs)
      if (scene === undefined) break
      steps.push(...scene.acts.map(({ afterMs, ...act }) => ({ ...act, scene: scene.name, atMs: atMs + afterMs })))
      atMs += scene.durationMs
    }
    return steps
  }

  #draw(leftMs: number): { name: Scene; acts: readonly TimedAct[]; durationMs: number } | undefined {
    if (this.#cards.length === 0) {
      this.#cards = shuffled(
        this.random,
        this.kinds.flatMap(([name, count]) => new Array<Scene>(count).fill(name)),
      )
    }
    for (const [at, name] of this.#cards.entries()) {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const acts = SCENES[name](this.random, this.processors)
        const durationMs = Math.max(...acts.map(({ afterMs }) => afterMs))
        if (durationMs > leftMs) continue
        this.#cards.splice(at, 1)
        return { name, acts, durationMs }
      }
    }
    return undefined
  }
}
