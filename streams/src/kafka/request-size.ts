/** One request stays well below socket.request.max.bytes and does not hold the broker's connection for long. */
const MAX_REQUEST_BYTES = 8 * 1024 * 1024

/** As many of them, from the first on, as fit into one request; at least one. */
export function fittingOneRequest<T>(items: readonly T[], sizeBytesOf: (item: T) => number): T[] {
  const chosen: T[] = []
  let sizeBytes = 0
  for (const item of items) {
    sizeBytes += sizeBytesOf(item)
    if (chosen.length > 0 && sizeBytes > MAX_REQUEST_BYTES) break
    chosen.push(item)
  }
  return chosen
}
