import { crc32c as native } from '@node-rs/crc32'

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes[start, end)`, as an unsigned 32-bit number. */
export function crc32c(bytes: Buffer, start = 0, end = bytes.length): number {
  return native(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
}
