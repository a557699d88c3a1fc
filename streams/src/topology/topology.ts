import { storeOf, type GraphNode, type NodeOf, type NodeSpec } from './nodes.js'
import type { StoreSpec } from './stores.js'

/** A connected part of the graph: its sources share partitions, and one task runs it for one partition. */
export interface SubTopology {
  readonly id: number
  readonly sourceTopics: readonly string[]
  readonly sinkTopics: readonly string[]
  readonly stores: readonly StoreSpec[]
  /** Parents stand before their children. */
  readonly nodes: readonly GraphNode[]
}

/** What is to be computed, as an immutable graph. Made by StreamsBuilder, run by KafkaStreams or TopologyTestDriver. */
export class Topology {
  /** @internal */
  readonly subTopologies: readonly SubTopology[]

  /** @internal */
  constructor(nodes: readonly GraphNode[]) {
    this.subTopologies = Object.freeze(split(nodes))
  }

  get sourceTopics(): string[] {
    return this.subTopologies.flatMap((sub) => sub.sourceTopics)
  }

  /** Every topic it writes to, dead letters included. */
  get sinkTopics(): string[] {
    return [...new Set(this.subTopologies.flatMap((sub) => sub.sinkTopics))]
  }

  /**
   * The node that reads an input topic.
   * @internal
   */
  sourceOf(topic: string): NodeOf<'source'> | undefined {
    return this.#all('source').find((spec) => spec.topic === topic)
  }

  /** @internal */
  get sources(): NodeOf<'source'>[] {
    return this.#all('source')
  }

  /** @internal */
  get sinks(): NodeOf<'sink'>[] {
    return this.#all('sink')
  }

  #all<Kind extends NodeSpec['kind']>(kind: Kind): NodeOf<Kind>[] {
    return this.subTopologies.flatMap(({ nodes }) => ofKind(nodes, kind))
  }

  /** A text for people: one line a node, indented below its parent. */
  describe(): string {
    return this.subTopologies
      .map((sub) => {
        const depth = new Map<number, number>()
        const lines = sub.nodes.map((node) => {
          const level = node.parentId === undefined ? 0 : depth.get(node.parentId)! + 1
          depth.set(node.id, level)
          return `${'  '.repeat(level + 1)}${describeNode(node)}`
        })
        return [`Sub-topology ${sub.id}`, ...lines].join('\n')
      })
      .join('\n')
  }
}

function describeNode({ spec }: GraphNode): string {
  switch (spec.kind) {
    case 'source':
      return `source topic ${spec.topic}`
    case 'sink':
      return `sink topic ${spec.topic}`
    case 'aggregate':
      return `aggregate -> store ${spec.store.name}`
    case 'process-values':
      return `process values -> store ${spec.store.name}`
    case 'windowed-aggregate':
      return `aggregate by ${spec.windows.description} -> store ${spec.store.name}`
    case 'roll-up':
      return `roll up ${spec.partStore.name} by ${spec.windows.description} -> store ${spec.store.name}`
    default:
      return spec.kind
  }
}

/** Nodes hang together through their parents, and sources of one topic through that topic. */
function split(nodes: readonly GraphNode[]): SubTopology[] {
  const rootOf = new Map<number, string>()
  const parts = new Map<string, GraphNode[]>()
  for (const node of nodes) {
    const root = node.spec.kind === 'source' ? node.spec.topic : rootOf.get(node.parentId!)!
    rootOf.set(node.id, root)
    parts.set(root, [...(parts.get(root) ?? []), node])
  }
  return [...parts.values()].map((part, id) =>
    Object.freeze({
      id,
      nodes: part,
      sourceTopics: unique(ofKind(part, 'source').map((spec) => spec.topic)),
      sinkTopics: unique([
        ...ofKind(part, 'sink').map((spec) => spec.topic),
        ...ofKind(part, 'source').flatMap((spec) => spec.deadLetterTopic ?? []),
        ...ofKind(part, 'sink').flatMap((spec) => spec.deadLetterTopic ?? []),
      ]),
      stores: part.flatMap((node) => storeOf(node.spec) ?? []),
    }),
  )
}

function ofKind<Kind extends GraphNode['spec']['kind']>(nodes: readonly GraphNode[], kind: Kind): NodeOf<Kind>[] {
  return nodes.map((node) => node.spec).filter((spec): spec is NodeOf<Kind> => spec.kind === kind)
}

function unique(names: string[]): string[] {
  return [...new Set(names)]
}
