import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { isKafkaError } from '../errors.js'
import { DEFAULT_MAX_BATCH_BYTES } from './encode.js'
import { CodecMissing, loadPackage } from './codec.js'
import { CODECS, COMPRESSIONS, deflate, inflate, MAX_INFLATED_BYTES, requireCodec } from './compression.js'
import { lz4 } from './lz4.js'
import { snappy } from './snappy.js'
import { zstd } from './zstd.js'

const NAMES = COMPRESSIONS.filter((name) => name !== 'none')
const ORIGIN = { topic: 'trades', partition: 3 }
const codecOf = (name: (typeof COMPRESSIONS)[number]) => COMPRESSIONS.indexOf(name)

/** Text as it comes, with repetitions near and far, and noise: what makes blocks of every kind. */
const plain = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.string({ minLength: 1, maxLength: 40 }), fc.nat(3000))
        .map(([text, n]) => Buffer.from(text.repeat(n))),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts))

function uintLE(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  bytes.writeUIntLE(value, 0, size)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** As snappy-java's SnappyOutputStream writes it: its header, then blocks with their sizes before them. */
function xerial(blocks: readonly Buffer[]): Buffer {
  const header = Buffer.concat([Buffer.from('\x82SNAPPY\0', 'latin1'), int32(1), int32(1)])
  return Buffer.concat([header, ...blocks.flatMap((block) => [int32(block.length), block])])
}

/** A zstd frame of blocks that each say: this byte, 128 KiB of it. */
function zstdRuns(count: number): Buffer {
  const run = (last: boolean) => Buffer.concat([uintLE((131_072 << 3) | (1 << 1) | (last ? 1 : 0), 3), Buffer.of(7)])
  const runs = Array.from({ length: count }, (_, index) => run(index === count - 1))
  return Buffer.concat([uintLE(0xfd2fb528, 4), Buffer.of(0, 0x58), ...runs])
}

describe.each(NAMES)('%s', (name) => {
  it('gives back what was put in, and says no more than it holds', () => {
    fc.assert(
      fc.property(plain, (bytes) => {
        expect(inflate(codecOf(name), deflate(name, bytes), ORIGIN, 0).equals(bytes)).toBe(true)
      }),
      { numRuns: 150 },
    )
  })

  it('makes of a full batch of noise no more than a topic takes', () => {
    let seed = 1
    const noise = Buffer.from(
      Uint8Array.from({ length: DEFAULT_MAX_BATCH_BYTES }, () => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
        return seed >>> 16
      }),
    )
    expect(deflate(name, noise).length).toBeLessThan(1_048_588 - 61)
  })

  it('refuses bytes that are cut off anywhere, and says which batch of what', () => {
    const text = Buffer.from(Array.from({ length: 400 }, (_, i) => `trade ${(i * 7919) % 1000} of AAPL;`).join(''))
    const whole = deflate(name, text)
    for (let kept = 0; kept < whole.length; kept++) {
      let shown: Buffer | undefined
      try {
        shown = inflate(codecOf(name), whole.subarray(0, kept), ORIGIN, 77)
      } catch (error) {
        if (!isKafkaError(error, 'INVALID_ANSWER')) throw error
        expect(error.concerns).toEqual(ORIGIN)
        expect(error.message).toContain('offset 77')
        expect(error.message).toContain(name)
      }
      expect(shown).toBeUndefined()
    }
  })

  it('survives any damage: an error of the batch, or other bytes, and never more than the damage can claim', () => {
    let refused = 0
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(plain, damage, (bytes, changes) => {
        const damaged = Buffer.from(deflate(name, bytes))
        for (const [at, value] of changes) damaged[at % damaged.length] = value
        try {
          expect(inflate(codecOf(name), damaged, ORIGIN, 0).length).toBeLessThanOrEqual(MAX_INFLATED_BYTES)
        } catch (error) {
          refused++
          if (!isKafkaError(error, 'INVALID_ANSWER')) throw error
        }
      }),
      { numRuns: 600 },
    )
    const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(noise, (bytes) => {
        try {
          inflate(codecOf(name), bytes, ORIGIN, 0)
        } catch (error) {
          refused++
          if (!isKafkaError(error, 'INVALID_ANSWER')) throw error
        }
      }),
      { numRuns: 600 },
    )
    expect(refused).toBeGreaterThan(500)
  })

  it('inflates to the byte that is allowed, and not to one more', () => {
    const zeros = Buffer.alloc(2 * 131_072)
    const small = CODECS[name].deflate(zeros)
    expect(CODECS[name].inflate(small, 2 * zeros.length)).toHaveLength(zeros.length)
    expect(() => CODECS[name].inflate(small, zeros.length - 1)).toThrow(RangeError)
  })

  it('can be loaded here', () => {
    expect(() => requireCodec(name)).not.toThrow()
  })
})

describe('what other clients write', () => {
  const text = Buffer.from('the quick brown fox '.repeat(5000))

  it('is read: the stream of snappy-java in several blocks', () => {
    const blocks = [0, 32_768, 65_536].map((from) => snappy.deflate(text.subarray(from, from + 32_768)))
    const last = snappy.deflate(text.subarray(98_304))
    expect(inflate(2, xerial([...blocks, last]), ORIGIN, 0).equals(text)).toBe(true)
    expect(inflate(2, xerial([]), ORIGIN, 0)).toHaveLength(0)
  })

  it('is read: zstd in several frames, with frames between them that readers skip', () => {
    const skipped = Buffer.concat([uintLE(0x184d2a5b, 4), uintLE(5, 4), Buffer.from('notes')])
    const frames = [skipped, zstd.deflate(text), skipped, zstd.deflate(Buffer.from('the end'))]
    expect(inflate(4, Buffer.concat(frames), ORIGIN, 0).toString()).toBe(`${text.toString()}the end`)
    expect(inflate(4, zstdRuns(2), ORIGIN, 0).equals(Buffer.alloc(262_144, 7))).toBe(true)
  })

  it('is read: gzip in several members', () => {
    const members = [gzipSync(text), gzipSync('the end')]
    expect(inflate(1, Buffer.concat(members), ORIGIN, 0).toString()).toBe(`${text.toString()}the end`)
  })
})

describe('a bomb is refused by what its headers say, before memory is taken for it', () => {
  const bombs: [string, number, Buffer][] = [
    ['snappy, one block', 2, Buffer.concat([Buffer.from('8080808002', 'hex'), Buffer.alloc(100)])],
    ['snappy, a stream', 2, xerial(Array.from({ length: 3 }, () => Buffer.from('8080808001', 'hex')))],
    [
      'lz4',
      3,
      Buffer.concat([
        Buffer.from('04224d18607073', 'hex'),
        ...Array.from({ length: 80 }, () => Buffer.concat([uintLE(20_000, 4), Buffer.alloc(20_000)])),
        uintLE(0, 4),
      ]),
    ],
    ['zstd', 4, zstdRuns(2049)],
  ]

  it.each(bombs)('%s', (_name, codec, bomb) => {
    const before = process.memoryUsage().rss
    let error: unknown
    try {
      inflate(codec, bomb, ORIGIN, 9)
    } catch (thrown) {
      error = thrown
    }
    expect(isKafkaError(error, 'INVALID_ANSWER')).toBe(true)
    expect(String((error as Error).cause)).toMatch(/would inflate to \d{9,} bytes; at most 268435456/)
    expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
  })

  it('gzip, which does not say its size, stops at the limit', () => {
    const member = gzipSync(Buffer.alloc(1 << 20))
    const bomb = Buffer.concat(Array.from({ length: 257 }, () => member))
    expect(() => inflate(1, bomb, ORIGIN, 9)).toThrow(expect.objectContaining({ name: 'INVALID_ANSWER' }))
  })
})

describe('a codec that cannot be loaded', () => {
  afterEach(() => vi.restoreAllMocks())
  const missing = () => loadPackage('zstd', '@nobody/has-this-package', ', or run a newer Node')

  it('is named with what to do', () => {
    expect(missing).toThrow(CodecMissing)
    expect(missing).toThrow(/codec zstd .*install the npm package @nobody\/has-this-package .*or run a newer Node/)
  })

  it('fails the batch that needs it, with its topic, partition and offset, and no other', () => {
    const batch = zstd.deflate(Buffer.from('x'))
    vi.spyOn(CODECS.zstd, 'inflate').mockImplementation(missing as () => never)
    let error: unknown
    try {
      inflate(4, batch, ORIGIN, 12)
    } catch (thrown) {
      error = thrown
    }
    expect(isKafkaError(error, 'UNSUPPORTED_COMPRESSION_TYPE')).toBe(true)
    expect(error).toMatchObject({ kind: 'fatal', concerns: ORIGIN })
    expect((error as Error).message).toMatch(/offset 12 is compressed with zstd: .*install the npm package/)
    expect(inflate(3, lz4.deflate(Buffer.from('y')), ORIGIN, 13).toString()).toBe('y')
  })

  it('is found out before the first batch by whoever writes with it', () => {
    vi.spyOn(CODECS.zstd, 'deflate').mockImplementation(missing as () => never)
    expect(() => requireCodec('zstd')).toThrow(CodecMissing)
    expect(() => requireCodec('none')).not.toThrow()
  })
})
