import { KeyValueStore } from '../state/key-value-store.js'
import type { CacheBudget } from '../state/cache-budget.js'
import type { EngineReads } from '../state/engine.js'
import { WindowStore } from '../state/window-store.js'
import type { TraceHeaders } from '../kafka/trace-context.js'
import { nameOfNode, type NodeOf, type NodeSpec } from '../topology/nodes.js'
import type { SubTopology } from '../topology/topology.js'
import { AggregateNode } from './aggregate-node.js'
import { atNode } from './node-error.js'
import { ProcessValuesNode } from './process-values-node.js'
import { RollUpNode } from './roll-up-node.js'
import type { Forward, NodeContext, StatefulNode } from './stateful-node.js'
import { WindowedAggregateNode } from './windowed-aggregate-node.js'

/** Takes what a sink writes: encoded, with the topic; the partition follows from the key. */
export interface OutputCollector {
  /** @throws KafkaError MESSAGE_TOO_LARGE or INVALID_TIMESTAMP, and has taken nothing then */
  append(topic: string, key: Buffer, value: Buffer, timestampMs: number, headers: TraceHeaders): void
}

/** Told of a record that a sink could not write; throws what is to stop the application. */
export type ProductionFailed = (
  sink: NodeOf<'sink'>,
  key: Buffer | undefined,
  value: Buffer | undefined,
  error: unknown,
) => void

export type Store = KeyValueStore<unknown, unknown> | WindowStore<unknown, unknown>

/** The nodes of one task, wired: each source hands its records down by plain calls. */
export interface TaskGraph {
  readonly sources: ReadonlyMap<string, { spec: NodeOf<'source'>; forward: Forward }>
  /** Parents before children: the order in which they are flushed. */
  readonly stateful: readonly StatefulNode[]
  readonly stores: ReadonlyMap<string, Store>
}

export interface TaskGraphOptions {
  engine: EngineReads
  budget: CacheBudget
  context: NodeContext
  output: OutputCollector
  onProductionFailed: ProductionFailed
}

/** Wires the nodes of a sub-topology for one task. Pure but for the stores, which read the engine. */
export function wireTask(subTopology: SubTopology, options: TaskGraphOptions): TaskGraph {
  const { engine, budget, context, output, onProductionFailed } = options
  const stores = new Map<string, Store>()
  const stateful: StatefulNode[] = []
  const sources = new Map<string, { spec: NodeOf<'source'>; forward: Forward }>()

  function storeFor(spec: { kind: 'key-value' | 'window'; name: string }): Store {
    const known = stores.get(spec.name)
    if (known !== undefined) return known
    const store: Store =
      spec.kind === 'key-value'
        ? new KeyValueStore(spec as KeyValueStore<unknown, unknown>['spec'], engine, budget, context.clock)
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

  /** Each node of user code says who it is when it throws. */
  function wireNode(spec: NodeSpec, forward: Forward, id: number): Forward {
    const name = nameOfNode(spec)
    switch (spec.kind) {
      case 'source':
        sources.set(spec.topic, { spec, forward })
        return forward
      case 'filter':
        return (key, value) => {
          try {
            if (spec.predicate(value, key)) forward(key, value)
          } catch (error) {
            throw atNode(name, error)
          }
        }
      case 'map-values':
        return (key, value) => {
          try {
            forward(key, spec.map(value, key))
          } catch (error) {
            throw atNode(name, error)
          }
        }
      case 'flat-map-values':
        return (key, value) => {
          try {
            for (const one of spec.map(value, key)) forward(key, one)
          } catch (error) {
            throw atNode(name, error)
          }
        }
      case 'select-key':
        return (key, value) => {
          try {
            forward(spec.select(value, key), value)
          } catch (error) {
            throw atNode(name, error)
          }
        }
      case 'sink':
        return (key, value) => {
          let keyBytes: Buffer | undefined
          let valueBytes: Buffer | undefined
          try {
            keyBytes = spec.key.encode(key)
            valueBytes = spec.value.encode(value)
            const timestampMs = spec.timestamp?.(value) ?? Math.max(0, context.clock.streamTimeMs)
            output.append(spec.topic, keyBytes, valueBytes, timestampMs, context.trace)
          } catch (error) {
            // A leaf of the graph: nothing is half applied, whatever is decided about this one record.
            onProductionFailed(spec, keyBytes, valueBytes, error)
          }
        }
      case 'aggregate': {
        const node = new AggregateNode(spec, storeFor(spec.store) as KeyValueStore<unknown, unknown>, context, forward)
        byId.set(id, node)
        return (key, value) => {
          try {
            node.process(key, value)
          } catch (error) {
            throw atNode(name, error)
          }
        }
      }
      case 'process-values': {
        const store = storeFor(spec.store) as KeyValueStore<unknown, unknown>
        const node = new ProcessValuesNode(spec, store, context, forward)
        byId.set(id, node)
        return (key, value) => {
          try {
            node.process(key, value)
          } catch (error) {
            throw atNode(name, error)
          }
        }
      }
      case 'windowed-aggregate': {
        const store = storeFor(spec.store) as WindowStore<unknown, unknown>
        const node = new WindowedAggregateNode(spec, store, context, forward)
        byId.set(id, node)
        return (key, value) => {
          try {
            node.process(key, value)
          } catch (error) {
            throw atNode(name, error)
          }
        }
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
