import { execFileSync } from 'node:child_process'
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, inject, it } from 'vitest'
import { KafkaStreams } from './application.js'
import { until } from './kafka/testing/test-cluster.js'
import { utf8 } from './serde.js'
import { ENGINES, type EngineName } from './state/engines.js'
import { LevelDbEngine } from './state/leveldb-engine.js'
import { CountingGroup, type CountingProcess } from './testing/counting-group.js'
import { number, sums } from './testing/counting-store.js'
import { StreamsBuilder } from './topology/builder.js'

const withGroup = (work: (group: CountingGroup) => Promise<void>, keys = 300): Promise<void> =>
  CountingGroup.during(inject('kafkaBrokers'), { keys }, work)

const canLoad = (name: EngineName): boolean => {
  if (name !== 'rocksdb') return true
  try {
    createRequire(import.meta.url).resolve('@nxtedition/rocksdb')
    return true
  } catch {
    process.stderr.write('@nxtedition/rocksdb is not installed: the engine rocksdb is not tested\n')
    return false
  }
}

/** Which tasks dropped their state, and why. */
const droppedBy = (app: CountingProcess) =>
  app.lines.filter(({ message }) => message.startsWith('local state is not used')).map(({ reason }) => reason)

async function overwrite(directory: string, pattern: RegExp, bytes: Buffer): Promise<void> {
  const name = (await readdir(directory)).sort().findLast((file) => pattern.test(file))!
  const path = join(directory, name)
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, Math.floor((await stat(path)).size / 3))
  await file.close()
}

describe('after damage to the files of a killed process, nothing is lost or counted twice', () => {
  it('and the tasks whose state is not whole say so and are restored, the others are not', async () => {
    await withGroup(async (group) => {
      const first = group.start('a')
      await first.running()
      const stop = group.load(20)
      const tasks = join(group.stateDir('a'), group.run, 'tasks')
      const logIsLong = async (id: string) => {
        const names = await readdir(join(tasks, id))
        const sizes = await Promise.all(
          names.filter((name) => name.endsWith('.log')).map(async (name) => (await stat(join(tasks, id, name))).size),
        )
        return Math.max(...sizes) > 3 * 32_768
      }
      await until(
        async () => (await Promise.all(['0_0', '0_1'].map(logIsLong))).every(Boolean),
        'there are long logs',
        60_000,
      )
      await first.end('SIGKILL')
      await stop()
      await overwrite(join(tasks, '0_0'), /\.log$/, Buffer.alloc(4_096))
      await overwrite(join(tasks, '0_1'), /\.log$/, Buffer.from('noise'))
      await overwrite(join(tasks, '0_2'), /^MANIFEST/, Buffer.alloc(8, 0xa5))
      await writeFile(join(tasks, '0_3', 'CURRENT'), 'nonsense')
      const again = group.start('a')
      await again.running()
      expect(droppedBy(again)).toHaveLength(4)
      await group.send(3)
      await group.exact()
    })
  })
})

describe('damage that is met while the state is used', () => {
  /** Reads of it fail, as of a table that rots, until the engine is made anew. */
  class RottingEngine extends LevelDbEngine {
    rotten = false
    override get(key: Buffer) {
      if (this.rotten)
        throw Object.assign(new Error('Corruption: block checksum mismatch'), { code: 'LEVEL_CORRUPTION' })
      return super.get(key)
    }
    override snapshot() {
      const snapshot = super.snapshot()
      return { ...snapshot, get: (key: Buffer) => (this.rotten ? this.get(key) : snapshot.get(key)) }
    }
  }

  it.each(['a record', 'a query'])(
    'by %s: the task is restored, and nothing is lost or counted twice',
    async (whom) => {
      await withGroup(async (group) => {
        const engines: RottingEngine[] = []
        const reasons: unknown[] = []
        const builder = new StreamsBuilder()
        builder
          .stream(`${group.run}-in`, { key: utf8, value: number })
          .groupByKey()
          .aggregate(
            sums,
            () => 0,
            (sum, value) => sum + value,
          )
          .toStream()
          .to(`${group.run}-out`, { key: utf8, value: number })
        const app = new KafkaStreams(builder.build(), {
          applicationId: group.run,
          kafka: { brokers: [group.brokers], clientId: group.run },
          stateDir: group.stateDir('a'),
          // Nothing is kept in memory, so that every record reads.
          cacheBytes: 0,
          makeEngine: (directory) => engines[engines.push(new RottingEngine(directory)) - 1]!,
          log: {
            debug: () => undefined,
            info: () => undefined,
            warn: (fields, message) => reasons.push({ ...fields, message }),
            error: () => undefined,
          },
        })
        await app.start()
        try {
          await group.send(3)
          await group.exact()
          const before = engines.length
          for (const engine of engines) engine.rotten = true
          const asked = () => app.served().map(({ view }) => view.keyValue(sums).get('key 1'))
          if (whom === 'a query') expect(asked).toThrow(expect.objectContaining({ code: 'STATE_DAMAGED' }))
          else await group.send(1)
          await until(() => engines.length > before && app.state === 'RUNNING', 'an engine was made anew')
          expect(reasons).toContainEqual(
            expect.objectContaining({ reason: expect.stringContaining('checksum mismatch') as string }),
          )
          for (const engine of engines.slice(0, before)) if (whom === 'a query') engine.rotten = false
          await group.send(2)
          await group.exact()
          expect(app.state).toBe('RUNNING')
        } finally {
          await app.close()
        }
      }, 12)
    },
  )
})

describe('a full disk', () => {
  const canMount = (() => {
    if (process.platform === 'linux' && process.getuid?.() === 0) return true
    process.stderr.write('not root on Linux, so no small file system can be mounted: a full disk is not tested\n')
    return false
  })()

  it.skipIf(!canMount)(
    'ends the process with what to do; with room again it goes on, and nothing is lost or counted twice',
    async () => {
      await withGroup(async (group) => {
        const disk = group.stateDir('a')
        await mkdir(disk)
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk])
        try {
          const first = group.start('a')
          await first.running()
          await group.send(5)
          await group.exact()
          const ballast = join(disk, 'ballast')
          await fill(ballast)
          const stop = group.load(20)
          await first.ended()
          expect(first.exitCode).toBe(70)
          const { reason } = first.lines.findLast(({ message }) => message === 'ended by an error')!
          expect(reason).toMatch(/^the state of task 0_\d in .* cannot be used .*: the disk is full: free some space/)
          const stillFull = group.start('a')
          await stillFull.ended()
          expect(stillFull.exitCode).toBeGreaterThan(0)
          expect(stillFull.lines.at(-1)?.reason).toContain('the disk is full: free some space')
          await rm(ballast)
          const again = group.start('a')
          await again.running()
          await stop()
          await group.exact()
        } finally {
          await Promise.all(group.processes.map((app) => app.end('SIGKILL')))
          execFileSync('umount', ['-l', disk])
        }
      })
    },
  )

  /** Writes until nothing more fits. */
  async function fill(path: string): Promise<void> {
    const file = await open(path, 'w')
    try {
      for (let bytes = 1 << 20; bytes >= 4_096; bytes /= 4) {
        const piece = Buffer.alloc(bytes)
        for (;;) if ((await file.write(piece).catch(() => ({ bytesWritten: 0 }))).bytesWritten < bytes) break
      }
    } finally {
      await file.close()
    }
  }
})

describe('a state directory', () => {
  it('is taken by one process: a second one ends at once and says why, the first one goes on', async () => {
    await withGroup(async (group) => {
      const first = group.start('a')
      await first.running()
      const second = group.start('a')
      await second.ended()
      expect(second.exitCode).toBe(1)
      expect(second.lines, 'it asked Kafka for nothing').toEqual([
        expect.objectContaining({
          message: 'could not start',
          reason: expect.stringMatching(/^another process uses the state directory .*stateDir of its own/) as string,
        }),
      ])
      await group.send(3)
      await group.exact()
      expect(first.state).toBe('RUNNING')
    }, 30)
  })

  it('serves one engine after another: what another one left is restored, and the sums go on', async () => {
    await withGroup(async (group) => {
      for (const engine of [...ENGINES, ...ENGINES].filter(canLoad)) {
        const app = group.start('a', { engine })
        await app.running()
        await group.send(4)
        await group.exact()
        await app.end('SIGTERM')
        if (engine === 'memory') continue
        const marker = join(group.stateDir('a'), group.run, 'tasks', '0_0', 'ENGINE')
        expect(await readFile(marker, 'utf8')).toBe(`${engine}\n`)
      }
    }, 30)
  })
})
