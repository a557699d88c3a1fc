import type { InstanceTasks, LiveState, TaskStatuses } from '../dependencies.js'

export interface ProcessorTasksOptions {
  /** INTERNAL_TOKEN of the processors; empty or absent = none */
  token?: string
  timeoutMs?: number
}

/** More than any processor's list of tasks; what is longer is not read. */
const LARGEST_ANSWER_BYTES = 4 * 1024 * 1024

/** Asks every processor of the routing table for its tasks, all at once; one that does not answer is told as an error. */
export class ProcessorTasks implements TaskStatuses {
  constructor(
    private readonly live: Pick<LiveState, 'routing'>,
    private readonly options: ProcessorTasksOptions = {},
  ) {}

  gather(): Promise<InstanceTasks[]> {
    return Promise.all(
      this.live.routing().members.map(async ({ instance, endpoint }): Promise<InstanceTasks> => {
        if (endpoint === null) return { instance, endpoint, error: 'it told nobody where it answers' }
        try {
          return { instance, endpoint, tasks: await this.#ask(endpoint) }
        } catch (error) {
          return { instance, endpoint, error: reasonOf(error) }
        }
      }),
    )
  }

  async #ask(endpoint: string): Promise<Record<string, unknown>[]> {
    const { token, timeoutMs = 2_000 } = this.options
    const answer = await fetch(new URL('/tasks', endpoint), {
      headers: token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(timeoutMs),
      redirect: 'error',
    })
    if (!answer.ok) throw new Error(`it answered ${answer.status}`)
    const body = JSON.parse(await readAtMost(answer, LARGEST_ANSWER_BYTES)) as { tasks?: unknown } | null
    if (!Array.isArray(body?.tasks)) throw new Error('its answer has no tasks')
    return body.tasks as Record<string, unknown>[]
  }
}

async function readAtMost(answer: Response, bytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer.body ?? []) {
    size += (chunk as Uint8Array).length
    if (size > bytes) throw new Error('its answer is too long')
    chunks.push(chunk as Uint8Array)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
