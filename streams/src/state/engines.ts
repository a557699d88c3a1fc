import type { EngineFactory } from './engine.js'
import { LevelDbEngine } from './leveldb-engine.js'
import { MemoryEngine } from './memory-engine.js'
import { loadRocksDb, RocksDbEngine } from './rocksdb-engine.js'

/** The engines that come with the runtime. */
export const ENGINES = ['leveldb', 'rocksdb', 'memory'] as const
/** For engineFactory(). */
export type EngineName = (typeof ENGINES)[number]

const FACTORIES: Readonly<Record<EngineName, EngineFactory>> = {
  leveldb: (directory) => new LevelDbEngine(directory),
  rocksdb: (directory) => new RocksDbEngine(directory),
  memory: () => new MemoryEngine(),
}

/**
 * What makes the engine of each task. `leveldb` is the default; `rocksdb` is for state much larger than memory and needs
 * the package @nxtedition/rocksdb; `memory` keeps nothing: its state is restored at each start.
 * @throws StreamsError STATE when a package is missing
 */
export function engineFactory(name: EngineName): EngineFactory {
  if (name === 'rocksdb') loadRocksDb()
  return FACTORIES[name]
}
