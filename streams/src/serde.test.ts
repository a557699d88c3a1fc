import { describe, expect, it } from 'vitest'
import { json } from './serde.js'

describe('json', () => {
  it('writes JSON texts and reads them in place', () => {
    const serde = json<{ a: number }>()
    const bytes = serde.encode({ a: 1 })
    expect(bytes.toString()).toBe('{"a":1}')
    const among = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('yy')])
    expect(serde.decode(among, 2, 2 + bytes.length)).toEqual({ a: 1 })
  })

  it('lets nothing in that its parse function does not take', () => {
    const positive = json((value) => {
      if (typeof value !== 'number' || !(value > 0)) throw new TypeError('not above 0')
      return value
    })
    const decode = (text: string) => positive.decode(Buffer.from(text), 0, text.length)
    expect(decode('3')).toBe(3)
    expect(() => decode('-3')).toThrow('not above 0')
    expect(() => decode('{')).toThrow(SyntaxError)
  })
})
