/** A price and where in time it stands: by event time, and within the same millisecond by offset. */
export interface PricePoint {
  price: number
  /** Event time, epoch ms; NEVER while there is no price. */
  time: number
  offset: number
}

export const NEVER = -1

export function noPrice(): PricePoint {
  return { price: 0, time: NEVER, offset: NEVER }
}

/** Takes the price if it is the earliest so far. */
export function keepEarlier(into: PricePoint, price: number, time: number, offset: number): void {
  if (time === NEVER) return
  const earlier = time < into.time || (time === into.time && offset < into.offset)
  if (earlier || into.time === NEVER) set(into, price, time, offset)
}

/** Takes the price if it is the latest so far. */
export function keepLater(into: PricePoint, price: number, time: number, offset: number): void {
  if (time > into.time || (time === into.time && offset > into.offset)) set(into, price, time, offset)
}

function set(into: PricePoint, price: number, time: number, offset: number): void {
  into.price = price
  into.time = time
  into.offset = offset
}
