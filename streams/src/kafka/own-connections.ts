import { KafkaClient } from './client.js'

/**
 * A client of the same cluster with connections of its own, for a user that makes brokers wait (long polls, JoinGroup): a
 * broker answers the requests of one connection one after the other, so whatever shared it would wait too. The owner
 * closes it. It logs at `debug`: its owner says once that, and why, its work is interrupted.
 */
export function ownConnections({ config, log }: KafkaClient): KafkaClient {
  const debug = (fields: object, message: string) => log.debug(fields, message)
  return new KafkaClient(config, { debug, info: debug, warn: debug, error: debug })
}
