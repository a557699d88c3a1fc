import { KeyValueStore } from '../state/key-value-store.js'
import type { CacheBudget } from '../state/object-cache.js'
import type { Engine } from '../state/engine.js'
import { WindowStore } from '../state/window-store.js'
import type { NodeOf, NodeSpec } from '../topology/nodes.js'
import type { SubTopology } from '../topology/topology.js'
import { AggregateNode } from './aggregate-node.js'
import { RollUpNode } from './roll-up-node.js'
import type { Forward, NodeContext, StatefulNode } from './stateful-node.js'
import { WindowedAggregateNode } from './windowed-aggregate-node.js'

/** Takes what a sink writes: encoded, with the topic; the partition follows from the key. */
export interface OutputCollector {
  append(topic: string, key: Buffer, value: Buffer, timestampMs: number): void
}

export type Store = KeyValueStore<unknown, unknown> | WindowStore<unknown, unknown>

/** The nodes of one task, wired: each source hands its records down by plain calls. */
export interface TaskGraph {
  readonly sources: ReadonlyMap<string, { spec: NodeOf<'source'>; forward: Forward }>
  /** Parents before children: the order in which they are flushed. */
  readonly stateful: readonly StatefulNode[]
  readonly stores: ReadonlyMap<string, Store>
}

export interface TaskGraphOptions {
  engine: Engine
  budget: CacheBudget
  context: NodeContext
  output: OutputCollector
}

/** Wires the nodes of a sub-topology for one task. Pure but for the stores, which read the engine. */
export function wireTask(subTopology: SubTopology, { engine, budget, context, output }: TaskGraphOptions): TaskGraph {
  const stores = new Map<string, Store>()
  const stateful: StatefulNode[] = []
  const sources = new Map<string, { spec: NodeOf<'source'>; forward: Forward }>()

  function storeFor(spec: { kind: 'key-value' | 'window'; name: string }): Store {
    const known = stores.get(spec.name)
    if (known !== undefined) return known
    const store: Store =
      spec.kind === 'key-value'
        ? new KeyValueStore(spec as KeyValueStore<unknown, unknown>['spec'], engine, budget)
        : new WindowStore(spec as WindowStore<unknown, unknown>['spec'], engine, budget)
    stores.set(spec.name, store)
    return store
  }

  /** Children first, so that a node is made with what it forwards to; stateful ones are put in order afterwards. */
  function wire(id: number): Forward {
    const node = subTopology.nodes.find((candidate) => candidate.id === id)!
    const children = subTopology.nodes.filter((candidate) => candidate.parentId === id).map(({ id }) => wire(id))
    return wireNode(node.spec, toAll(children), id)
  }

  const byId = new Map<number, StatefulNode>()

  function wireNode(spec: NodeSpec, forward: Forward, id: number): Forward {
    switch (spec.kind) {
      case 'source':
        sources.set(spec.topic, { spec, forward })
        return forward
      case 'filter':
        return (key, value) => {
          if (spec.predicate(value, key)) forward(key, value)
        }
      case 'map-values':
        return (key, value) => forward(key, spec.map(value, key))
      case 'select-key':
        return (key, value) => forward(spec.select(value, key), value)
      case 'sink':
        return (key, value) => {
          const timestampMs = spec.timestamp?.(value) ?? Math.max(0, context.clock.streamTimeMs)
          output.append(spec.topic, spec.key.encode(key), spec.value.encode(value), timestampMs)
        }
      case 'aggregate': {
        const node = new AggregateNode(spec, storeFor(spec.store) as KeyValueStore<unknown, unknown>, context, forward)
        byId.set(id, node)
        return (key, value) => node.process(key, value)
      }
      case 'windowed-aggregate': {
        const store = storeFor(spec.store) as WindowStore<unknown, unknown>
        const node = new WindowedAggregateNode(spec, store, context, forward)
        byId.set(id, node)
        return (key, value) => node.process(key, value)
      }
      case 'roll-up': {
        const store = storeFor(spec.store) as WindowStore<unknown, unknown>
        const parts = storeFor(spec.partStore) as WindowStore<unknown, unknown>
        const node = new RollUpNode(spec, store, parts, context, forward)
        byId.set(id, node)
        return (key, value) => node.process(key, value)
      }
    }
  }

  for (const node of subTopology.nodes) if (node.parentId === undefined) wire(node.id)
  for (const { id } of subTopology.nodes) {
    const node = byId.get(id)
    if (node !== undefined) stateful.push(node)
  }
  return { sources, stateful, stores }
}

function toAll(targets: readonly Forward[]): Forward {
  const [first, second] = targets
  if (first === undefined) return () => undefined
  if (second === undefined) return first
  if (targets.length === 2) {
    return (key, value) => {
      first(key, value)
      second(key, value)
    }
  }
  return (key, value) => {
    for (const target of targets) target(key, value)
  }
}
