import type { WireReader } from '../wire/reader.js'
import type { WireWriter } from '../wire/writer.js'

/**
 * One request of Kafka's protocol at one version. Files in this folder build them: one file per API, its wire layout quoted
 * above the encoder, in the notation of https://kafka.apache.org/protocol.html
 *
 * If the decoded answer has a `throttleTimeMs`, the connection pauses that long (KIP-219).
 * @internal
 */
export interface ApiRequest<T> {
  readonly apiKey: number
  readonly version: number
  readonly name: string
  /** Flexible versions have compact types and tagged fields, in the request's and the answer's header too (KIP-482). */
  readonly flexible: boolean
  /**
   * Writes the body. Called once, right before sending, on a connection that is open and logged in; the writer's bytes are
   * copied before the next await. What it throws is thrown to whoever sends, and nothing is sent.
   */
  encode(writer: WireWriter): void
  /** Reads the body. Error codes inside are the caller's business. */
  decode(reader: WireReader): T
  /** How long the answer may take beyond the client's request timeout, for requests that wait on the broker. */
  readonly timeoutMs?: number
}
