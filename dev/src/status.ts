import { execFileSync } from 'node:child_process'
import { topicNames } from '@candlewick/schemas/topics'
import { KafkaAdmin } from '@candlewick/streams/kafka/admin'
import { KafkaClient } from '@candlewick/streams/kafka/client'
import { createLogger } from '@candlewick/service/logger'
import { runCommand } from './command.js'
import { loadEnv, RUN_DIR } from './load-env.js'
import { sinkGroup, topicLags } from './stack/lag.js'
import { NO_ANSWER, whyNotReady } from './stack/launch.js'
import { reachable } from './stack/plan.js'
import { findStack, type RecordedPart, type StackState } from './stack/state-file.js'
import { table } from './table.js'

const USAGE = `npm run status

Shows what npm start runs: the processes, how far Kafka's readers are, and the state of each task.`

async function main(): Promise<void> {
  loadEnv()
  const found = findStack(RUN_DIR)
  if (found.kind === 'nothing') return console.log('nothing runs (npm start starts it)')
  const { state, parts } = found
  if (found.kind === 'orphans') console.log('left over from an earlier start; npm stop ends them')
  else
    console.log(
      `page http://${reachable(state.host)}:${state.apiPort}/ ; looked after by process ${state.supervisor.pid}`,
    )
  console.log(`\n${await processTable(state, parts)}`)
  console.log(`\n${await topicTable(state).catch((error: Error) => `Kafka does not answer: ${error.message}`)}`)
  console.log(`\n${await taskTable(state, parts)}`)
}

/** A process that is younger may well not listen yet. */
const STARTING_MS = 10_000

async function processTable({ host }: StackState, parts: readonly RecordedPart[]): Promise<string> {
  const usage = usageOf(parts.map(({ pid }) => pid))
  const rows = await Promise.all(
    parts.map(async ({ name, pid, port, startMs, restarts }) => {
      const isServer = name === 'kafka' || name === 'cassandra'
      const reason = isServer ? undefined : await whyNotReady(`http://${reachable(host)}:${port}/readyz`)
      const isYoung = Date.now() - startMs < STARTING_MS
      const { memoryMb, uptime } = usage.get(pid) ?? {}
      return [
        name,
        `${pid}`,
        port === undefined ? undefined : `${port}`,
        memoryMb,
        uptime,
        `${restarts}`,
        reason === NO_ANSWER && isYoung ? 'starting' : (reason ?? 'up'),
      ]
    }),
  )
  return table(['process', 'pid', 'port', 'MB', 'uptime', 'restarts', 'state'], rows)
}

/** Resident memory and age as `ps` tells them, on Linux and macOS alike. */
function usageOf(pids: readonly number[]): Map<number, { memoryMb: number; uptime: string }> {
  if (pids.length === 0) return new Map()
  let lines: string[]
  try {
    lines = execFileSync('ps', ['-o', 'pid=,rss=,etime=', '-p', pids.join(',')], { encoding: 'utf8' }).split('\n')
  } catch {
    return new Map() // all of them ended just now
  }
  return new Map(
    lines.flatMap((line) => {
      const [pid, rssKb, uptime] = line.trim().split(/\s+/)
      return uptime === undefined ? [] : [[Number(pid), { memoryMb: Math.round(Number(rssKb) / 1024), uptime }]]
    }),
  )
}

async function topicTable({ kafkaBrokers, applicationId, topicPrefix }: StackState): Promise<string> {
  const config = { brokers: [kafkaBrokers], clientId: 'candlewick-status', requestTimeoutMs: 5_000 }
  const client = new KafkaClient(config, createLogger('status', 'silent'))
  await client.connect()
  try {
    const admin = new KafkaAdmin(client)
    const { trades, averages, bars, deadLetters } = topicNames(topicPrefix)
    const folded = await topicLags(admin, [trades], applicationId)
    const sunk = await topicLags(admin, [trades, averages, bars, deadLetters], sinkGroup(applicationId))
    const rows = sunk.map(({ topic, partitions, end, lag }) => {
      return [topic, partitions, end, folded.find((other) => other.topic === topic)?.lag, lag]
    })
    const heading = ['topic', 'partitions', 'end offsets', 'uncommitted: processors', 'uncommitted: sink']
    return `${table(heading, rows)}\n(uncommitted: not yet in a committed transaction of the processors, not yet stored by the sink)`
  } finally {
    await client.close()
  }
}

interface Task {
  id: string
  status: string
  inputs: { topic: string; offset: number; lag: number | null }[]
}

async function taskTable({ host }: StackState, parts: readonly RecordedPart[]): Promise<string> {
  const rows: (string | number | undefined)[][] = []
  for (const { name, port } of parts.filter((part) => part.name.startsWith('processor'))) {
    for (const { id, status, inputs } of await tasksOf(`http://${reachable(host)}:${port}`)) {
      const lag = inputs.reduce((total, input) => total + (input.lag ?? 0), 0)
      const offset = inputs.reduce((total, input) => total + Math.max(0, input.offset), 0)
      rows.push([id, name, status, offset, lag])
    }
  }
  return table(['task', 'processor', 'state', 'input offset', 'not yet read'], rows)
}

async function tasksOf(url: string): Promise<Task[]> {
  const token = process.env['INTERNAL_TOKEN']
  try {
    const answer = await fetch(`${url}/tasks`, {
      headers: token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.timeout(2_000),
    })
    return answer.ok ? ((await answer.json()) as { tasks: Task[] }).tasks : []
  } catch {
    return []
  }
}

void runCommand({ usage: USAGE, run: main })
