import { afterEach, describe, expect, it } from 'vitest'
import type { Engine } from './engine.js'

const bytes = (text: string) => Buffer.from(text, 'utf8')

/** What every engine must keep; run it for each one. `make` gives a new engine on the same storage at each call. */
export function engineSuite(name: string, options: { make: () => Engine; durable: boolean }): void {
  describe(`${name} as an engine`, () => {
    const opened: Engine[] = []
    async function open(): Promise<Engine> {
      const engine = options.make()
      await engine.open()
      opened.push(engine)
      return engine
    }
    afterEach(async () => {
      for (const engine of opened.splice(0)) await engine.close()
    })

    async function filled(): Promise<Engine> {
      const engine = await open()
      const writes = ['a', 'c', 'b', 'ab'].map((key) => ({ key: bytes(key), value: bytes(`value of ${key}`) }))
      await engine.write(writes, { sync: false })
      return engine
    }

    async function keysOf(entries: AsyncIterable<readonly [Buffer, Buffer]>): Promise<string[]> {
      const keys: string[] = []
      for await (const [key] of entries) keys.push(key.toString())
      return keys
    }

    it('reads what was written, synchronously, and nothing where nothing was', async () => {
      const engine = await filled()
      expect(engine.get(bytes('ab'))?.toString()).toBe('value of ab')
      expect(engine.get(bytes('nothing'))).toBeUndefined()
    })

    it('keeps empty values apart from absent ones', async () => {
      const engine = await open()
      await engine.write([{ key: bytes('empty'), value: Buffer.alloc(0) }], { sync: false })
      expect(engine.get(bytes('empty'))).toHaveLength(0)
    })

    it('deletes a key that is written as undefined', async () => {
      const engine = await filled()
      await engine.write([{ key: bytes('a'), value: undefined }], { sync: true })
      expect(engine.get(bytes('a'))).toBeUndefined()
    })

    it('lists a range by the order of bytes, its end excluded', async () => {
      const engine = await filled()
      expect(await keysOf(engine.entries({ from: bytes('a'), to: bytes('c') }))).toEqual(['a', 'ab', 'b'])
    })

    it('finds the first key at or after another, within a bound', async () => {
      const engine = await filled()
      expect((await engine.seek(bytes('aa'), bytes('z')))?.toString()).toBe('ab')
      expect((await engine.seek(bytes('b'), bytes('z')))?.toString()).toBe('b')
      expect(await engine.seek(bytes('aa'), bytes('ab'))).toBeUndefined()
    })

    it('shows a snapshot as it was, whatever is written later', async () => {
      const engine = await filled()
      const snapshot = engine.snapshot()
      await engine.write(
        [
          { key: bytes('a'), value: bytes('later') },
          { key: bytes('aa'), value: bytes('new') },
        ],
        { sync: false },
      )
      expect(snapshot.get(bytes('a'))?.toString()).toBe('value of a')
      expect(await keysOf(snapshot.entries({ from: bytes('a'), to: bytes('b') }))).toEqual(['a', 'ab'])
      expect(engine.get(bytes('a'))?.toString()).toBe('later')
      await snapshot.close()
    })

    it('is empty and usable after clear()', async () => {
      const engine = await filled()
      await engine.clear()
      expect(await keysOf(engine.entries({ from: bytes('\0'), to: bytes('\x7f') }))).toEqual([])
      await engine.write([{ key: bytes('x'), value: bytes('y') }], { sync: false })
      expect(engine.get(bytes('x'))?.toString()).toBe('y')
    })

    it('closes once, however often it is asked to, and refuses reads afterwards', async () => {
      const engine = await filled()
      await Promise.all([engine.close(), engine.close()])
      expect(() => engine.get(bytes('a'))).toThrow()
    })

    const kept = options.durable ? 'value of b' : undefined
    it(`has ${options.durable ? 'everything' : 'nothing'} after it was closed and opened`, async () => {
      const engine = await filled()
      await engine.close()
      const again = await open()
      expect(again.get(bytes('b'))?.toString()).toBe(kept)
    })
  })
}
