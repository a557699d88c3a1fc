import { messageOf, StreamsError } from '../errors.js'
import type { UnencodableError } from '../state/object-cache.js'
import type { StatefulNode } from './stateful-node.js'

/** Which node of a task's graph threw, on its way up to whoever knows the task and the record. */
export class NodeError extends Error {
  constructor(
    readonly node: string,
    override readonly cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.name = 'NodeError'
  }
}

/** The innermost node counts; an error that is known already goes through as it is. */
export function atNode(node: string, error: unknown): unknown {
  return error instanceof NodeError || error instanceof StreamsError ? error : new NodeError(node, error)
}

/** User code threw about what a store's node announces. There is no record that could be left out instead. */
export function announcementError(taskId: string, { store }: StatefulNode, key: unknown, error: unknown): StreamsError {
  const { name, key: serde } = store.spec
  const { node = `store ${name}`, cause } = error instanceof NodeError ? error : { cause: error }
  const told = textOf(() => serde.encode(key))
  return new StreamsError(
    'PROCESSING',
    `task ${taskId}: announcing key '${told}' of store ${name} failed at ${node}: ${messageOf(cause)}`,
    { task: taskId, store: name, node, key: told },
    { cause },
  )
}

/** The serde of a store does not take a value that the topology made. */
export function storeEncodingError(taskId: string, store: string, { storeKey, cause }: UnencodableError): StreamsError {
  const key = textOf(() => storeKey)
  return new StreamsError(
    'PROCESSING',
    `task ${taskId}: the value of key '${key}' of store ${store} cannot be encoded: ${messageOf(cause)}`,
    { task: taskId, store, key },
    { cause },
  )
}

/** A key as far as it can be told. */
function textOf(encode: () => Buffer): string {
  try {
    return encode().toString('utf8').slice(0, 200)
  } catch {
    return '?'
  }
}
