import { StreamsError } from '../errors.js'
import type { Progress } from './progress.js'

export const STATE_FORMAT = 1

/** How far the engine is along one changelog. */
export interface ChangelogPosition {
  /** Kafka's id of the topic: another one means it was made anew, and that positions mean nothing. */
  readonly topicId: string
  /** The engine holds every change before this offset. */
  readonly position: number
  /** The same, as of the last write that was synced to disk. */
  readonly syncedPosition: number
  /**
   * Which input the state belongs to, as of the last change replayed from this changelog. Absent: none was replayed since
   * the task's own last commit. Null: one was, and which input it belongs to is not known yet.
   */
  readonly progress?: Progress | null
}

/** What a task knows of its own state; written in the same batch as the state, so that it is never ahead of it. */
export interface TaskMeta {
  readonly format: typeof STATE_FORMAT
  /** The boot of this machine in which it was written: unsynced writes survive a process, not a power cut. */
  readonly bootId: string
  readonly cleanClose: boolean
  readonly persistedAtMs: number
  readonly changelogs: Readonly<Record<string, ChangelogPosition>>
  /** Next offset to read per input topic, as of the last commit of its own; empty before the first. */
  readonly inputs: Readonly<Record<string, number>>
  /** TaskClock.toMetadata(), likewise. */
  readonly clock: string
}

export function encodeTaskMeta(meta: TaskMeta): Buffer {
  return Buffer.from(JSON.stringify(meta), 'utf8')
}

/**
 * @returns what it says; a text where the state cannot be used and is to be restored: why
 * @throws StreamsError STATE when a newer version of the runtime wrote it: what that has made is not thrown away
 */
export function decodeTaskMeta(bytes: Buffer, taskId: string, directory: string): TaskMeta | string {
  let meta: { format?: unknown }
  try {
    meta = (JSON.parse(bytes.toString('utf8')) as object | null) ?? {}
  } catch {
    return 'what it says of itself cannot be read'
  }
  if (meta.format === STATE_FORMAT) return meta as TaskMeta
  if (typeof meta.format !== 'number' || meta.format < STATE_FORMAT) {
    return `its format is ${String(meta.format)}, this version has ${STATE_FORMAT}`
  }
  throw new StreamsError(
    'STATE',
    `the state of task ${taskId} in ${directory} has format ${meta.format}, this version reads ${STATE_FORMAT}: run the ` +
      'version that wrote it, or delete that directory to have it restored from its changelogs',
    { task: taskId },
  )
}
