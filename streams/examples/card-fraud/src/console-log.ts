import type { KafkaLog } from '@candlewick/streams/kafka/config'

/** A line for each thing worth knowing, as JSON; pino would do as well. */
export function jsonLines(write: (line: string) => void): KafkaLog {
  const at = (level: string) => (fields: object, message: string) => {
    write(JSON.stringify({ level, message, ...fields }, (_key, value: unknown) => told(value)))
  }
  return { debug: () => undefined, info: at('info'), warn: at('warn'), error: at('error') }
}

/** An error has nothing that JSON would show. */
function told(value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value
}
