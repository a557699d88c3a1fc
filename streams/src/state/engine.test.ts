import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { engineSuite } from './engine.suite.js'
import { LevelDbEngine } from './leveldb-engine.js'
import { MemoryEngine } from './memory-engine.js'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'candlewick-engine-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

engineSuite('LevelDB', { make: () => new LevelDbEngine(directory), durable: true })
engineSuite('memory', { make: () => new MemoryEngine(), durable: false })
