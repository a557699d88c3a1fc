import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { watchdog } from '@candlewick/dev/local/watchdog'
import { expect, it } from 'vitest'
import { runFaults } from './run.js'

/** Has kills, a zombie, a lost disk, a broker bounce, cut connections and a bounce of Cassandra. */
const SEED = '16'

it('half a minute of faults: topics, changelogs, stores, REST and Cassandra equal the independent fold', async ({
  signal,
}) => {
  const dir = await mkdtemp(join(tmpdir(), 'candlewick-faults-'))
  watchdog.remove(dir)
  const lines: string[] = []
  try {
    const report = await runFaults({
      seed: SEED,
      minutes: 0.5,
      records: 40_000,
      dir,
      signal,
      log: (line) => lines.push(line),
    })
    expect(report.complaints, lines.join('\n')).toEqual([])
    expect([report.lost, report.duplicated]).toEqual([0, 0])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}, 300_000)
