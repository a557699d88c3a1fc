import { KafkaError } from '../errors.js'
import type { Broker } from '../kafkajs-private.js'
import type { ProducerClient } from '../idempotent-producer-options.js'
import type { ApiRequest } from '../protocol/api-request.js'
import { recordsOf } from '../records/rebuild.js'
import { WireReader } from '../wire/reader.js'
import { WireWriter } from '../wire/writer.js'

/** What goes wrong with one Produce request. */
export type Fault =
  | { kind: 'none' }
  /** The broker refuses, nothing is appended. */
  | { kind: 'refuse'; errorCode: number; recordErrors?: number[] }
  /** It is appended, and then something breaks within the broker. */
  | { kind: 'append-and-fail'; errorCode: number }
  /** The connection breaks before the request arrives. */
  | { kind: 'lost-request' }
  /** It is appended, but the connection breaks before the answer arrives. */
  | { kind: 'lost-answer' }
  /** An unclean election: the partitions' last batches are gone, with what the leader knew of their producers. */
  | { kind: 'truncate' }

interface Entry {
  producerId: bigint
  epoch: number
  firstSequence: number
  values: string[]
}

const OUT_OF_ORDER = 45
const INVALID_EPOCH = 47
const KEPT_BATCHES = 5

/**
 * One broker's logs of one topic, after ProducerStateManager and ProducerAppendInfo of Kafka: sequences are checked per producer
 * and epoch, and the last five batches are known, so that a copy of one of them is not appended again. Behind the client's
 * interface, so what is tested includes the requests' bytes.
 */
export class ModelLog {
  readonly partitions: Entry[][]
  readonly #nextFault: () => Fault
  #producerIds = 0n
  requests = 0
  readonly lines: string[] = []
  leaderless = false

  constructor(partitions: number, nextFault: () => Fault = () => ({ kind: 'none' })) {
    this.partitions = Array.from({ length: partitions }, () => [])
    this.#nextFault = nextFault
  }

  values(partition: number): string[] {
    return this.partitions[partition]!.flatMap(({ values }) => values)
  }

  client(): ProducerClient {
    const broker = {} as Broker
    const say = (_fields: object, message: string) => this.lines.push(message)
    return {
      leaderIdOf: () => (this.leaderless ? undefined : 1),
      partitionCount: () => this.partitions.length,
      brokerWithId: () => Promise.resolve(broker),
      anyBroker: () => Promise.resolve(broker),
      refreshMetadata: () => Promise.resolve(),
      send: <T>(_broker: Broker, request: ApiRequest<T>) => this.#send(request),
      log: { debug: () => undefined, info: say, warn: say, error: say },
      closing: new AbortController().signal,
    }
  }

  async #send<T>(request: ApiRequest<T>): Promise<T> {
    const asked = new WireWriter()
    request.encode(asked)
    const answer = new WireWriter()
    if (request.name === 'InitProducerId') answer.int32(0).int16(0).bigInt64(this.#producerIds++).int16(0).tags()
    else this.#produce(new WireReader(asked.bytes), answer)
    return request.decode(new WireReader(answer.bytes))
  }

  #produce(reader: WireReader, answer: WireWriter): void {
    this.requests++
    const fault = this.#nextFault()
    if (fault.kind === 'lost-request') throw KafkaError.connection('cut', true)
    if (fault.kind === 'truncate') for (const log of this.partitions) log.pop()
    reader.compactNullableString()
    reader.int16()
    reader.int32()
    const topics = reader.compactArray(() => {
      const topic = reader.compactString()
      const results = reader.compactArray(() => {
        const partition = reader.int32()
        const bytes = reader.compactNullableBytes() ?? Buffer.alloc(0)
        reader.tags()
        if (fault.kind === 'refuse') return { partition, errorCode: fault.errorCode }
        const appended = this.#append(partition, Buffer.from(bytes))
        return { partition, errorCode: fault.kind === 'append-and-fail' ? fault.errorCode : appended }
      })
      reader.tags()
      return { topic, results }
    })
    if (fault.kind === 'lost-answer') throw KafkaError.connection('cut', true)
    const recordErrors = fault.kind === 'refuse' ? (fault.recordErrors ?? []) : []
    answer.compactArray(topics, ({ topic, results }) => {
      answer.compactString(topic)
      answer.compactArray(results, ({ partition, errorCode }) => {
        answer.int32(partition).int16(errorCode).int64(0).int64(-1).int64(0)
        answer.compactArray(recordErrors, (index) => answer.int32(index).compactString('bad').tags())
        answer.compactString(null).tags()
      })
      answer.tags()
    })
    answer.int32(0).tags()
  }

  #append(partition: number, bytes: Buffer): number {
    const values = recordsOf({ bytes, recordCount: 0 }).map(({ value }) => value!.toString())
    const producerId = bytes.readBigInt64BE(43)
    const epoch = bytes.readInt16BE(51)
    const firstSequence = bytes.readInt32BE(53)
    const log = this.partitions[partition]!
    const known = log.filter((entry) => entry.producerId === producerId)
    const last = known.at(-1)
    if (last !== undefined && epoch < last.epoch) return INVALID_EPOCH
    const sameEpoch = known.filter((entry) => entry.epoch === epoch)
    const isCopy = (entry: Entry) => entry.firstSequence === firstSequence && entry.values.length === values.length
    if (sameEpoch.slice(-KEPT_BATCHES).some(isCopy)) return 0
    if (last !== undefined && last.epoch !== epoch && firstSequence !== 0) return OUT_OF_ORDER
    const lastOfEpoch = sameEpoch.at(-1)
    if (lastOfEpoch !== undefined && firstSequence !== lastOfEpoch.firstSequence + lastOfEpoch.values.length) {
      return OUT_OF_ORDER
    }
    log.push({ producerId, epoch, firstSequence, values })
    return 0
  }
}
