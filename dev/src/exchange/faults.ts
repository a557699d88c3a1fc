/** What the exchange can be asked to do wrong. */
export type Fault =
  /** Cuts every connection, and takes no new one for so long. */
  | { readonly kind: 'drop'; readonly seconds: number }
  /** Sends an error frame to everybody. */
  | { readonly kind: 'error'; readonly message: string }
  /** Sends nothing, not even pings. */
  | { readonly kind: 'silence'; readonly seconds: number }
  /** Sends frames that make no sense. */
  | { readonly kind: 'garbage'; readonly frames: readonly Buffer[] }
  /** Answers handshakes with this HTTP status; open connections stay. */
  | { readonly kind: 'refuse'; readonly status: number; readonly seconds: number }
  /** Ends silence and refusals. */
  | { readonly kind: 'none' }

/** Broken in every way a feed has been seen to break. */
const GARBAGE: readonly Buffer[] = [
  Buffer.from('{"type":"trade","data":[{"s":"AAPL","p":1'),
  Buffer.from('<html><body>502 Bad Gateway</body></html>'),
  Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x80, 0x7d]),
  Buffer.from('[]'),
  Buffer.from('{"type":"trade","data":null}'),
  Buffer.from('{"type":"gossip","data":[]}'),
  Buffer.from(
    '{"type":"trade","data":[{"s":"AAPL","p":-1,"t":1700000000000,"v":1},{"s":"","p":1,"t":1700000000000,"v":1},null]}',
  ),
]

/** @returns a text that says what is wrong when the request is not one */
export function readFault(body: unknown): Fault | string {
  const { kind, seconds, message, frames } = (typeof body === 'object' && body !== null ? body : {}) as Record<
    string,
    unknown
  >
  if (seconds !== undefined && (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= 86_400))) {
    return 'seconds must be a number from 0 to 86400'
  }
  switch (kind) {
    case 'drop':
      return { kind, seconds: seconds ?? 0 }
    case 'silence':
      return { kind, seconds: seconds ?? 10 }
    case 'error':
      return { kind, message: typeof message === 'string' ? message : 'Internal error' }
    case 'garbage':
      return readFrames(frames)
    case 'none':
      return { kind }
  }
  const status = /^refuse-([2-5]\d\d)$/.exec(String(kind))?.[1]
  if (status !== undefined) return { kind: 'refuse', status: Number(status), seconds: seconds ?? 10 }
  return 'kind must be drop, error, silence, garbage, none or refuse-<HTTP status> (401, 429, 502, 200)'
}

function readFrames(frames: unknown): Fault | string {
  if (frames === undefined) return { kind: 'garbage', frames: GARBAGE }
  if (!Array.isArray(frames) || !frames.every((frame) => typeof frame === 'string')) {
    return 'frames must be a list of base64 texts'
  }
  return { kind: 'garbage', frames: frames.map((frame) => Buffer.from(frame, 'base64')) }
}
