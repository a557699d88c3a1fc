import { afterEach, describe, expect, it } from 'vitest'
import { firstKey, type Engine } from './engine.js'

const bytes = (text: string) => Buffer.from(text, 'utf8')

/**
 * What every engine must keep: run it in a vitest file of yours for an engine of your own
 * (`@candlewick/streams/state/engine.suite`; vitest is yours to bring).
 * @param options `make` gives a new engine on the same storage at each call, empty at the first one of each test;
 *   `durable`: whether it keeps anything after it was closed
 */
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

    it('has copies of what was written: it holds nothing that the buffers are views into', async () => {
      const engine = await open()
      const chunk = Buffer.from('....key.value....')
      await engine.write([{ key: chunk.subarray(4, 7), value: chunk.subarray(8, 13) }], { sync: false })
      chunk.fill(0)
      const found: string[] = []
      for await (const entry of engine.entries({ from: bytes('a'), to: bytes('z') })) found.push(entry.join('='))
      expect(found).toEqual(['key=value'])
      expect(engine.get(bytes('key'))?.toString()).toBe('value')
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

    it('lists a range backwards, and no more of it than is asked for', async () => {
      const engine = await filled()
      const range = { from: bytes('a'), to: bytes('c') }
      const snapshot = engine.snapshot()
      for (const reads of [engine, snapshot]) {
        expect(await keysOf(reads.entries({ ...range, reverse: true }))).toEqual(['b', 'ab', 'a'])
        expect(await keysOf(reads.entries({ ...range, reverse: true, limit: 2 }))).toEqual(['b', 'ab'])
        expect(await keysOf(reads.entries({ ...range, limit: 2 }))).toEqual(['a', 'ab'])
        expect(await keysOf(reads.entries({ ...range, limit: 0 }))).toEqual([])
        expect(await keysOf(reads.entries({ from: bytes('c'), to: bytes('a') }))).toEqual([])
      }
      await snapshot.close()
    })

    it('lists what was there when it was asked, whatever is written while the list is read', async () => {
      const engine = await open()
      const count = 3_000
      const key = (n: number) => bytes(String(n).padStart(6, '0'))
      const all = Array.from({ length: count }, (_, n) => ({ key: key(n), value: bytes('old') }))
      await engine.write(all, { sync: false })
      const seen: string[] = []
      for await (const [, value] of engine.entries({ from: key(0), to: key(count) })) {
        if (seen.push(value.toString()) !== 1) continue
        await engine.write(
          all.map(({ key }, n) => ({ key, value: n % 2 === 0 ? undefined : bytes('new') })),
          { sync: false },
        )
      }
      expect(seen).toHaveLength(count)
      expect(new Set(seen)).toEqual(new Set(['old']))
      expect(await keysOf(engine.entries({ from: key(0), to: key(count) }))).toHaveLength(count / 2)
    })

    it('lets go of a list that is not read to its end', async () => {
      const engine = await filled()
      for await (const [key] of engine.entries({ from: bytes('a'), to: bytes('z') })) {
        expect(key.toString()).toBe('a')
        break
      }
      await engine.close()
    })

    it('applies a batch of many keys whole, the last write of a key winning', async () => {
      const engine = await open()
      const value = Buffer.alloc(500, 'x')
      const writes = Array.from({ length: 20_000 }, (_, n) => ({ key: bytes(`key ${n % 10_000}`), value }))
      await engine.write([...writes, { key: bytes('key 7'), value: undefined }], { sync: true })
      expect(await keysOf(engine.entries({ from: bytes('key'), to: bytes('key~') }))).toHaveLength(9_999)
      expect(engine.get(bytes('key 7'))).toBeUndefined()
      expect(engine.get(bytes('key 9999'))).toHaveLength(500)
    })

    it('keeps keys of any bytes, in their order', async () => {
      const engine = await open()
      const keys = [[0], [0, 0], [0, 255], [1], [127], [128], [255, 0], [255, 254]].map((each) => Buffer.from(each))
      await engine.write(
        [...keys].reverse().map((key) => ({ key, value: key })),
        { sync: false },
      )
      const found: Buffer[] = []
      for await (const [key] of engine.entries({ from: Buffer.from([0]), to: Buffer.from([255, 255]) })) found.push(key)
      expect(found).toEqual(keys)
    })

    it('finds the first key of a range', async () => {
      const engine = await filled()
      expect((await firstKey(engine, { from: bytes('aa'), to: bytes('z') }))?.toString()).toBe('ab')
      expect((await firstKey(engine, { from: bytes('b'), to: bytes('z') }))?.toString()).toBe('b')
      expect(await firstKey(engine, { from: bytes('aa'), to: bytes('ab') })).toBeUndefined()
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

    it('shows each of several snapshots its own moment', async () => {
      const engine = await open()
      const snapshots = []
      for (let n = 0; n < 5; n++) {
        await engine.write([{ key: bytes('n'), value: bytes(String(n)) }], { sync: false })
        snapshots.push(engine.snapshot())
      }
      await engine.write([{ key: bytes('n'), value: undefined }], { sync: false })
      expect(snapshots.map((snapshot) => snapshot.get(bytes('n'))?.toString())).toEqual(['0', '1', '2', '3', '4'])
      for (const snapshot of snapshots.reverse()) await snapshot.close()
    })

    it('closes once, however often it is asked to, and refuses reads afterwards', async () => {
      const engine = await filled()
      await Promise.all([engine.close(), engine.close()])
      expect(() => engine.get(bytes('a'))).toThrow()
      await expect(engine.write([{ key: bytes('a'), value: undefined }], { sync: false })).rejects.toThrow()
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
