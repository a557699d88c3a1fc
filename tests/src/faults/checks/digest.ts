const number = new DataView(new ArrayBuffer(8))

/** 52 bits of values in their order, numbers to the bit: equal values have equal digests, others practically never. */
export function digest(values: readonly (number | string | null)[]): number {
  let a = 0x811c9dc5
  let b = 0x9e3779b9
  const mix = (word: number) => {
    a = Math.imul(a ^ word, 0x01000193)
    a ^= a >>> 15
    b = Math.imul(b ^ word, 0x85ebca6b)
    b ^= b >>> 13
  }
  for (const value of values) {
    if (typeof value === 'string') {
      for (let at = 0; at < value.length; at++) mix(value.charCodeAt(at))
    } else {
      number.setFloat64(0, value ?? Number.NaN)
      mix(number.getUint32(0))
      mix(number.getUint32(4))
    }
  }
  return (a >>> 6) * 0x400_0000 + (b >>> 6)
}
