import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readRecording, type RecordingLine } from './reader.js'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'recording-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function read(content: string | Buffer, name = 'day.csv'): Promise<RecordingLine[]> {
  const file = join(directory, name)
  await writeFile(file, content)
  const lines: RecordingLine[] = []
  for await (const piece of readRecording(file)) lines.push(...piece)
  return lines
}

const trade = (symbol: string, price: number, volume: number, timestamp: number) => ({
  kind: 'trade',
  trade: { symbol, price, volume, timestamp, conditions: null },
})

describe('a recording', () => {
  it('is read line by line, with or without a heading, whatever ends its lines', async () => {
    const expected = [trade('GCZ13', 1323.4, 1, 1381190400374), trade('IC MARKETS:1', 0.5, 0, 1381190400492)]
    const body = ['GCZ13,1323.4,1,1381190400374', 'IC MARKETS:1,.5,0,1381190400492']
    for (const end of ['\n', '\r\n']) {
      expect(await read(body.join(end))).toMatchObject(expected)
      expect(await read(['symbol,price,volume,timestamp_ms', '', ...body, ''].join(end))).toMatchObject(expected)
      expect(await read('\ufeffSymbol,price,volume,timestamp_ms' + end + body.join(end))).toMatchObject(expected)
    }
  })

  it('may be gzipped, in one piece or several', async () => {
    const gzipped = Buffer.concat([gzipSync('A,1,1,1\nB,2,'), gzipSync('2,2\n')])
    expect(await read(gzipped, 'day.csv.gz')).toMatchObject([trade('A', 1, 1, 1), trade('B', 2, 2, 2)])
  })

  it('comes in pieces, and lines that straddle them are whole', async () => {
    const lines = Array.from({ length: 50_000 }, (_, i) => `SYMBOL${i},${i + 0.25},${i},${1_381_190_400_000 + i}`)
    const file = join(directory, 'large.csv')
    await writeFile(file, lines.join('\n'))
    let pieces = 0
    const raws: string[] = []
    for await (const piece of readRecording(file)) {
      pieces++
      raws.push(...piece.map(({ raw }) => raw.toString()))
    }
    expect(raws).toEqual(lines)
    expect(pieces).toBeGreaterThan(10)
  })

  it('keeps the bytes of a line that has not four fields, and goes on', async () => {
    const bad = Buffer.from([0x41, 0xff, 0x2c, 0x31])
    const lines = await read(Buffer.concat([bad, Buffer.from('\nA,1,1,1,extra\nA,1,1,1\n')]))
    expect(lines.map(({ kind }) => kind)).toEqual(['rejected', 'rejected', 'trade'])
    expect(lines[0]).toMatchObject({ raw: bad, reason: 'line-fields' })
  })

  it('leaves the judgement on values to validation: what is no number is NaN, never 0', async () => {
    const [line] = await read('A,,0x10,1 2\n')
    expect(line).toMatchObject(trade('A', NaN, NaN, NaN))
  })

  it('cuts off a line that does not end, instead of holding all of it', async () => {
    const lines = await read('x'.repeat(5_000_000) + '\nA,1,1,1\n')
    expect(lines).toMatchObject([{ kind: 'rejected', reason: 'line-length' }, trade('A', 1, 1, 1)])
    expect(lines[0]!.raw.length).toBeLessThan(20_000)
  })

  it('says which file cannot be read', async () => {
    const missing = join(directory, 'missing.csv')
    await expect(readRecording(missing).next()).rejects.toMatchObject({
      code: 'RECORDING',
      message: expect.stringContaining(missing) as string,
    })
    await expect(readRecording(missing + '.gz').next()).rejects.toMatchObject({ code: 'RECORDING' })
  })

  it('says when a gzipped file is damaged, after what could be read of it', async () => {
    const whole = gzipSync(Array.from({ length: 20_000 }, (_, i) => `A,${i + 1},${i * 7919},1\n`).join(''))
    await expect(read(whole.subarray(0, whole.length / 2), 'damaged.csv.gz')).rejects.toMatchObject({
      code: 'RECORDING',
    })
  })
})
