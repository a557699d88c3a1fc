import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Trade } from '@candlewick/schemas/types'
import { tradeAt, tradeStreams } from '../testing/trades.js'
import { addTrade, emptyAverage } from './average.js'
import { addToBar, emptyBar, mergeBars } from './bar.js'
import { addTradeToMinute, emptyMinute } from './minute.js'
import { PackedError } from './packed.js'
import { averageStateCodec, barStateCodec, minuteStateCodec, type StateCodec } from './state-codecs.js'

const averageOf = (trades: Trade[]) =>
  trades.reduce((state, trade, offset) => addTrade(state, trade, { offset }), emptyAverage())
const minuteOf = (trades: Trade[]) =>
  trades.reduce((state, trade, offset) => addTradeToMinute(state, trade, { offset }), emptyMinute())
const barOf = (trades: Trade[]) => {
  const bar = emptyBar()
  trades.forEach((trade, offset) => addToBar(bar, trade, offset))
  return mergeBars([bar, minuteOf(trades)])
}

const codecs: readonly [string, StateCodec<object>, (trades: Trade[]) => object][] = [
  ['average', averageStateCodec as StateCodec<object>, averageOf],
  ['minute', minuteStateCodec as StateCodec<object>, minuteOf],
  ['bar', barStateCodec as StateCodec<object>, barOf],
]

describe.each(codecs)('the stored %s', (name, codec, fold) => {
  test('is read back to the bit, wherever it stands in a buffer', () => {
    fc.assert(
      fc.property(tradeStreams({ spanMs: 59_000 }), fc.uint8Array({ maxLength: 9 }), (trades, around) => {
        const state = fold(trades)
        const bytes = codec.encode(state)
        const buffer = Buffer.concat([around, bytes, around])
        const read = codec.decode(buffer, around.length, around.length + bytes.length)
        expect(read).toEqual(state)
        expect(codec.encode(read).equals(bytes)).toBe(true)
      }),
    )
  })

  test('goes on after being stored as it would have gone on without, to the bit', () => {
    fc.assert(
      fc.property(tradeStreams({ spanMs: 59_000 }), (trades) => {
        const bytes = codec.encode(fold(trades))
        expect(Object.keys(codec.decode(bytes, 0, bytes.length))).toEqual(Object.keys(fold(trades)))
      }),
    )
  })

  test('says so when it ends too early, goes on too long, or has another format', () => {
    const bytes = codec.encode(fold([tradeAt(1), tradeAt(2)]))
    for (let end = 1; end < bytes.length; end++) {
      expect(() => codec.decode(bytes, 0, end)).toThrow(PackedError)
    }
    const longer = Buffer.concat([bytes, Buffer.from([0])])
    expect(() => codec.decode(longer, 0, longer.length)).toThrow('1 bytes follow the state')
    bytes[0] = 9
    expect(() => codec.decode(bytes, 0, bytes.length)).toThrow(`${name}: format 9 is unknown (this build reads 1)`)
  })
})

test('a stored state is continued to the same bits as one that stayed in memory', () => {
  fc.assert(
    fc.property(tradeStreams({ spanMs: 59_000 }), (trades) => {
      let average = emptyAverage()
      let minute = emptyMinute()
      trades.forEach((trade, offset) => {
        average = roundTrip(averageStateCodec, addTrade(average, trade, { offset }))
        minute = roundTrip(minuteStateCodec, addTradeToMinute(minute, trade, { offset }))
      })
      expect(average).toEqual(averageOf(trades))
      expect(minute).toEqual(minuteOf(trades))
    }),
  )
})

function roundTrip<S>(codec: StateCodec<S>, state: S): S {
  const bytes = codec.encode(state)
  return codec.decode(bytes, 0, bytes.length)
}

test('a busy minute stays under a kilobyte', () => {
  const trades = Array.from({ length: 1200 }, (_, index) =>
    tradeAt(index / 20, { price: 93_000 + index / 7, volume: 1 / (index + 3) }),
  )
  expect(minuteStateCodec.encode(minuteOf(trades)).length).toBeLessThan(1000)
})
