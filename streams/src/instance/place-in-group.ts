import { StreamsError } from '../errors.js'
import type { KafkaLog } from '../kafka/config.js'
import type { GroupGeneration } from '../kafka/group-member.js'
import { decodeAssignmentMap, type AssignmentMap, type SubTopologyMetadata } from '../membership/group-metadata.js'
import { NO_TASKS, type Role } from './task-manager.js'

/** When a session has ended, so long it takes at most until we have heard of it and joined again. */
const HEARD_WITHIN_MS = 3_000

export interface PlaceInGroupOptions {
  instanceId: string
  sessionTimeoutMs: number
  log: KafkaLog
}

/** What the leader has decided for this instance, by the last assignment that it was part of. */
export class PlaceInGroup {
  readonly #options: PlaceInGroupOptions
  #map: AssignmentMap | undefined
  #role: Role = NO_TASKS
  #generationId = -1
  /** Since when an older member of the group has our instance id. */
  #rejectedAtMs: number | undefined

  constructor(options: PlaceInGroupOptions) {
    this.#options = options
  }

  /** Who does what; undefined before the first assignment. */
  get map(): AssignmentMap | undefined {
    return this.#map
  }

  /** Of the last assignment, also while the next one is being joined. */
  get generationId(): number {
    return this.#generationId
  }

  get role(): Role {
    return this.#role
  }

  /** @param topology what this instance computes, to be told where it is not what the others do */
  adopt({ userData, memberId, generationId }: GroupGeneration, topology: readonly SubTopologyMetadata[]): void {
    const { log, instanceId: instance } = this.#options
    this.#map = decodeAssignmentMap(userData)
    this.#generationId = generationId
    this.#role = this.#map?.members.find((member) => member.memberId === memberId) ?? NO_TASKS
    const { active, standby, warmup } = this.#role
    log.info({ generation: generationId, tasks: active, standby, warmup }, 'tasks assigned')
    const rejected = this.#map?.rejected.includes(memberId) ?? false
    this.#rejectedAtMs = rejected ? (this.#rejectedAtMs ?? performance.now()) : undefined
    if (rejected) log.warn({ instance }, 'no tasks while an older member has our instance id')
    if (this.#map?.strangers.includes(memberId)) {
      log.error(
        { topology, others: this.#map.subTopologies },
        'older processes of this application id run another topology: no tasks until they are gone; ' +
          'if this is another application, give it an application id of its own',
      )
    }
  }

  /**
   * Whether an older member has our instance id. It may be our own predecessor, killed while it joined, whose member id
   * was lost with its disk: then its session ends, and the group lets us have our tasks.
   * @throws StreamsError DUPLICATE_INSTANCE when it is there for longer than that: it lives
   */
  isTaken(nowMs: number): boolean {
    if (this.#rejectedAtMs === undefined) return false
    const { instanceId, sessionTimeoutMs } = this.#options
    if (nowMs - this.#rejectedAtMs < sessionTimeoutMs + HEARD_WITHIN_MS) return true
    throw new StreamsError(
      'DUPLICATE_INSTANCE',
      `another running process has the instance id '${instanceId}': give each process an instance id of its own`,
    )
  }
}
