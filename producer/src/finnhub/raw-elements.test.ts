import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RawElements } from './raw-elements.js'

const slice = (frame: string, index: number) => new RawElements(Buffer.from(frame)).at(index)?.toString('utf8')

describe('the bytes of a trade in a frame', () => {
  it('are those between its commas, with nothing changed', () => {
    const frame = ' { "data" : [ {"s":"A","p":1.50} ,\n{"s":"B, ]}","c":["\\"","[{"]}, null,-1e5 ] , "type":"trade"} '
    expect(slice(frame, 0)).toBe('{"s":"A","p":1.50}')
    expect(slice(frame, 1)).toBe('{"s":"B, ]}","c":["\\"","[{"]}')
    expect(slice(frame, 2)).toBe('null')
    expect(slice(frame, 3)).toBe('-1e5')
    expect(slice(frame, 4)).toBeUndefined()
  })

  it('are those JSON.parse took when a key is repeated or written with escapes', () => {
    expect(slice('{"data":[1],"data":[2],"x":{"data":[3]}}', 0)).toBe('2')
    expect(slice('{"\\u0064ata":["ü\\\\"]}', 0)).toBe('"ü\\\\"')
  })

  it('are not there when data is no list, or missing', () => {
    expect(slice('{"data":{"0":1}}', 0)).toBeUndefined()
    expect(slice('{}', 0)).toBeUndefined()
    expect(slice('{"data":[]}', 0)).toBeUndefined()
  })

  it('parse to the trade itself, in any frame', () => {
    const frames = fc.record({ type: fc.string(), other: fc.jsonValue(), data: fc.array(fc.jsonValue()) })
    fc.assert(
      fc.property(frames, fc.constantFrom(undefined, 1, '\t'), (frame, indent) => {
        const raw = Buffer.from(JSON.stringify(frame, undefined, indent))
        const { data } = JSON.parse(raw.toString()) as { data: unknown[] }
        const elements = new RawElements(raw)
        data.forEach((element, i) => expect(JSON.parse(elements.at(i)!.toString())).toEqual(element))
        expect(elements.at(data.length)).toBeUndefined()
      }),
    )
  })

  it('are found by one walk, however many are asked for', () => {
    const frame = Buffer.from(JSON.stringify({ data: new Array(1_000).fill(0) }))
    let reads = 0
    const counting = new Proxy(frame, {
      get(target, key) {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads++
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const elements = new RawElements(counting)
    for (let i = 0; i < 1_000; i++) expect(elements.at(i)?.toString()).toBe('0')
    expect(reads).toBeLessThan(20 * frame.length)
  })
})
