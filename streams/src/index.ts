/** The public face of the runtime: what an application is written with. */
export {
  KafkaStreams,
  type KafkaStreamsOptions,
  type KafkaStreamsState,
  type ServedTask,
  type TaskStatus,
} from './application.js'
export type { RestoreEvent, RestoreListener, TaskRestore } from './changelog/restore-progress.js'
export { InvalidRecordError } from './processing/source-visitor.js'
export { StreamsError, type Concerns, type StreamsErrorCode } from './errors.js'
export type {
  ErrorDecision,
  ErrorHandler,
  ErrorHandlers,
  InputErrorContext,
  InputErrorHandler,
  ProductionErrorContext,
  ProductionErrorHandler,
} from './processing/error-handlers.js'
export type { ProcessingGuarantee } from './instance/stream-instance.js'
export type { KafkaConfig, KafkaLog, SaslOptions } from './kafka/config.js'
export { COMPRESSIONS, type Compression } from './kafka/records/compression.js'
export type { RecordHeader } from './kafka/records/encode.js'
export type { AssignedMember, AssignmentMap, SubTopologyMetadata } from './membership/group-metadata.js'
export type { TaskStatusName } from './processing/stream-task.js'
export type { Isolation } from './queries/task-reads.js'
export {
  QueryError,
  TaskView,
  type KeyRangeOptions,
  type KeyValueView,
  type ScanOptions,
  type WindowView,
} from './queries/task-view.js'
export { json, utf8, type Serde } from './serde.js'
export type { Engine, EngineEntry, EngineFactory, EngineScan, EngineSnapshot, EngineWrite } from './state/engine.js'
export { engineFactory, ENGINES, type EngineName } from './state/engines.js'
export type { StoredWindow } from './state/window-store.js'
export {
  AnnouncedKStream,
  KGroupedStream,
  KStream,
  KTable,
  StreamsBuilder,
  WindowedKGroupedStream,
  WindowedKTable,
  type Aggregator,
  type ConsumedOptions,
  type ProducedOptions,
  type ValueProcessor,
} from './topology/builder.js'
export type { Announcement, EmitOptions, RecordContext } from './topology/nodes.js'
export { keyValueStore, windowStore, type KeyValueStoreSpec, type WindowStoreSpec } from './topology/stores.js'
export { Topology } from './topology/topology.js'
export { calendarDays, tumbling, type Window, type Windows } from './topology/windows.js'
