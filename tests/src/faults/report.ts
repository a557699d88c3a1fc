import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { versionIn } from '@candlewick/dev/local/jars'
import { javaCommand, ROOT } from '@candlewick/dev/local/paths'
import type { Place } from './checks/findings.js'
import type { Verdict } from './checks/verdict.js'
import { COUNTED, type Counted } from './counters.js'
import type { Done } from './injector.js'
import type { Load } from './load.js'
import type { Processor } from './processor.js'
import { moved, type CassandraBounce } from './watch.js'

export interface Findings {
  seed: string
  minutes: number
  records: number
  partitions: number
  processors: readonly Processor[]
  tookMs: number
  done: Done
  load: Load
  bounces: readonly CassandraBounce[]
  lags: ReadonlyMap<string, number>
  sentinels: { sent: number; visible: number }
  skippedMarkers: number
  verdict: Verdict
}

/** What a run says of itself: rows of a table, and every difference. */
export interface Report {
  /** Nothing lost, nothing twice, nothing different anywhere, nobody lags, and no processor ended by itself. */
  isGood: boolean
  lost: number
  duplicated: number
  /** That makes the same faults again. */
  command: string
  summary: readonly (readonly [string, string])[]
  places: readonly Place[]
  /** What is wrong, in a line each; empty when all is well. */
  complaints: readonly string[]
}

/** @param skippedMarkers transactions whose markers Kafka forgot */
export function worthless(skippedMarkers: number): string {
  return `Kafka skipped the markers of ${skippedMarkers} transactions (KAFKA-20734): start again`
}

export function makeReport(findings: Findings): Report {
  const {
    seed,
    minutes,
    records,
    processors,
    done,
    load,
    bounces,
    lags,
    sentinels,
    skippedMarkers,
    verdict,
    partitions,
  } = findings
  const { places } = verdict
  const counted = (name: Counted) => processors.reduce((sum, { counters }) => sum + counters.total(name), 0)
  const lost = Math.max(...places.map((place) => place.lost))
  const duplicated = Math.max(...places.map((place) => place.duplicated))
  const differences = places.reduce((sum, place) => sum + place.differences, 0)
  const collapses = processors.flatMap(({ name, collapses }) =>
    collapses.map((words) => `${name} ended by itself, ${words}`),
  )
  const stubborn = processors.reduce((sum, processor) => sum + processor.stubborn, 0)
  const worstMs = Math.max(0, ...bounces.map((bounce) => bounce.worstMs))
  const complaints = [
    ...places.flatMap(({ name, shown, differences }) => [
      ...shown.map((text) => `${name}: ${text}`),
      ...(differences > shown.length ? [`${name}: and ${differences - shown.length} more`] : []),
    ]),
    ...[...lags].filter(([, lag]) => lag > 0).map(([group, lag]) => `group ${group} still lags by ${lag} records`),
    ...(sentinels.visible < sentinels.sent ? [`${sentinels.sent - sentinels.visible} sentinels are not visible`] : []),
    ...bounces
      .filter(moved)
      .map((bounce) => `the processors were ${bounce.worstMs.toFixed(0)} ms behind while Cassandra was away`),
    ...collapses,
    ...(['failedProcessing', 'unexplained'] as const)
      .filter((name) => counted(name) > 0)
      .map((name) => `${counted(name)} rollbacks: ${TITLES[name]}`),
    ...(skippedMarkers > 0 ? [worthless(skippedMarkers)] : []),
  ]
  const number = (value: number) => value.toLocaleString('en-US')
  return {
    isGood: complaints.length === 0 && lost === 0 && duplicated === 0,
    lost,
    duplicated,
    command: `npm run test:faults -- --seed ${seed} --minutes ${minutes} --records ${records}`,
    places,
    complaints,
    summary: [
      ['seed', seed],
      ['faults injected for', `${minutes} min; the whole run took ${(findings.tookMs / 60_000).toFixed(1)} min`],
      ['machine', machine()],
      ['system', `${processors.length} processors, ${partitions} partitions, 1 Kafka, 1 Cassandra, 1 API`],
      ...Object.entries(done).map(([name, times]): [string, string] => [name, number(times)]),
      [
        'records in',
        `${number(verdict.trades + verdict.unusable)} on the topic, ${number(verdict.unusable)} of them unusable`,
      ],
      ['sent again', `${number(load.sentAgain)} whose acknowledgement was lost`],
      ['symbols, bars', `${number(verdict.symbols)}, ${number(verdict.bars)}`],
      ...Object.keys(COUNTED).map((name): [string, string] => [
        TITLES[name as Counted],
        number(counted(name as Counted)),
      ]),
      ['processors that did not end in 25 s', number(stubborn)],
      ['processors that ended by themselves', number(collapses.length)],
      ['furthest behind while Cassandra was away', `${(worstMs / 1_000).toFixed(1)} s`],
      ['sentinels', `${sentinels.visible} of ${sentinels.sent} visible everywhere`],
      ['lag at the end', [...lags].map(([group, lag]) => `${group} ${lag}`).join(', ')],
      ['lost', number(lost)],
      ['duplicated', number(duplicated)],
      ['differences', number(differences)],
    ],
  }
}

/** Of processes that were killed, what they counted up to a second before. */
const TITLES: Readonly<Record<Counted, string>> = {
  records: 'records processed (repeated ones included)',
  commits: 'commits',
  failedCommits: 'commits that failed',
  rollbacks: 'rollbacks',
  failedProcessing: 'of these because a record could not be processed',
  unexplained: 'of these for an error that no fault explains',
  rebalances: 'assignments received',
  restored: 'records replayed from changelogs',
}

/** The report as a page of the documentation. */
export function toMarkdown({ command, summary, places, complaints, isGood }: Report): string {
  const rows = (cells: readonly (readonly string[])[]) => cells.map((row) => `| ${row.join(' | ')} |`).join('\n')
  const number = (value: number) => value.toLocaleString('en-US')
  const isEqual = places.every(({ lost, duplicated, differences }) => lost + duplicated + differences === 0)
  const headline = isEqual
    ? `Everything is equal: nothing lost, nothing twice.${isGood ? '' : ' What is not well stands at the end.'}`
    : 'Not everything is equal.'
  return `# A run of the fault suite

    ${command}

Processors are killed, frozen, restarted, scaled, cut off and robbed of their disks, the broker and Cassandra are bounced,
all at random from the seed, while trades come in. Then everything that was made of the trades is compared with a fold
that shares no code with the runtime and reads the topic with Kafka's own consumer. The same seed gives the same faults.

**${headline}**

${rows([['what', 'value'], ['---', '---'], ...summary])}

Compared with the fold of the trades, number by number, to the last bit:

${rows([
  ['where', 'records, rows or answers', 'lost', 'duplicated', 'differences'],
  ['---', '---', '---', '---', '---'],
  ...places.map(({ name, compared, lost, duplicated, differences }) => [
    name,
    ...[compared, lost, duplicated, differences].map(number),
  ]),
])}
${complaints.map((complaint) => `\n- ${complaint}`).join('')}`
}

/** Without names: cores, memory, versions. */
function machine(): string {
  const pom = (name: 'kafka' | 'cassandra') =>
    versionIn(readFileSync(join(ROOT, 'dev', 'pom', name, 'pom.xml'), 'utf8'), name)
  const { stderr } = spawnSync(javaCommand(), ['-version'], { encoding: 'utf8' })
  const java = /version "([^"]+)"/.exec(stderr)?.[1] ?? 'unknown'
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `${cpus().length} cores, ${memory}, Node ${process.versions.node}, Java ${java}, Kafka ${pom('kafka')}, Cassandra ${pom('cassandra')}`
}
