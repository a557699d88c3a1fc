import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { EXIT } from './process.js'

/** The process of testing/life-main.ts, as built. */
const MAIN = fileURLToPath(new URL('../dist/testing/life-main.js', import.meta.url))

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

function start(script: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], SCRIPT: script, LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const said = { out: '', err: '' }
  child.stdout.on('data', (text) => (said.out += String(text)))
  child.stderr.on('data', (text) => (said.err += String(text)))
  const closed = once(child, 'close') as Promise<[number | null]>
  const ended = async () => ({
    code: (await closed)[0],
    ...said,
    told: said.out.split('\n').filter((line) => /^(up|closed \d)$/.test(line)),
  })
  const up = () => vi.waitFor(() => expect(said.out).toContain('up\n'), { timeout: 20_000, interval: 10 })
  return { child, ended, up, said }
}

describe('a service', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'closes its parts in reverse order at %s, and ends with 0',
    async (signal) => {
      const { child, ended, up } = start('service')
      await up()
      child.kill(signal)
      expect(await ended()).toMatchObject({ code: EXIT.clean, told: ['up', 'closed 2', 'closed 1'] })
    },
  )

  it('ends at a second signal without waiting for what is still closing', async () => {
    const { child, ended, up, said } = start('stuck', [], { CLOSE_TIMEOUT_MS: '60000' })
    await up()
    child.kill('SIGTERM')
    await vi.waitFor(() => expect(said.out).toContain('"signal":"SIGTERM"'), { timeout: 20_000, interval: 5 })
    child.kill('SIGTERM')
    const { code, told, out } = await ended()
    expect([code, told]).toEqual([EXIT.failure, ['up']])
    expect(out).not.toContain('closing took too long')
  })

  it('is ended when a part refuses to close, and says so', async () => {
    const { child, ended, up } = start('stuck')
    await up()
    child.kill('SIGTERM')
    const { code, out } = await ended()
    expect(code).toBe(EXIT.failure)
    expect(out).toContain('closing took too long')
  })

  it('closes the others when one part cannot be closed, and ends with a failure that names it', async () => {
    const { child, ended, up } = start('failing')
    await up()
    child.kill('SIGTERM')
    const { code, told, out } = await ended()
    expect([code, told]).toEqual([EXIT.failure, ['up', 'closed 2', 'closed 1']])
    expect(out).toContain('"part":"failing"')
  })
})

it('a job ends with 0 when its work is done, after closing what it opened', async () => {
  expect(await start('job').ended()).toMatchObject({ code: EXIT.clean, told: ['up', 'closed 2', 'closed 1'] })
})

describe('a process that cannot go on', () => {
  it('tells a missing prerequisite in one line without a stack, closes what is open, and ends with 1', async () => {
    const { code, err, told } = await start('missing').ended()
    expect(err).toBe('life: port 1 is taken: set PARTS\n')
    expect([code, told]).toEqual([EXIT.wrongSetting, ['closed 2', 'closed 1']])
  })

  it('does so also when it finds out later', async () => {
    const { code, err, told } = await start('later').ended()
    expect([code, err]).toEqual([EXIT.wrongSetting, 'life: the key is refused\n'])
    expect(told).toEqual(['up', 'closed 2', 'closed 1'])
  })

  it.each([
    ['broken', 'a bug'],
    ['rejecting', 'forgotten'],
  ])(
    'because it is %s logs the error with its stack, closes what is open, and ends with 70',
    async (script, message) => {
      const { code, out, told } = await start(script).ended()
      expect(code).toBe(EXIT.failure)
      expect(out).toMatch(new RegExp(`${message}.*life-main`))
      expect(told).toEqual(expect.arrayContaining(['closed 2', 'closed 1']))
    },
  )

  it('because settings are wrong tells all of them at once and runs nothing', async () => {
    const { code, err, told } = await start('nothing', [], { PARTS: '0' }).ended()
    expect([code, told]).toEqual([EXIT.wrongSetting, []])
    expect(err).toContain('SCRIPT')
    expect(err).toContain('PARTS: must be a whole number from 1')
  })
})

describe('the command line', () => {
  it('--help tells every setting, and what is read besides', async () => {
    const { code, out } = await start('service', ['--help']).ended()
    expect(code).toBe(EXIT.clean)
    for (const word of ['life: lives as it is told.', 'SCRIPT', 'PARTS', 'HOST', 'LOG_LEVEL', 'NODE_EXTRA_CA_CERTS']) {
      expect(out).toContain(word)
    }
  })

  it('--check looks at the settings and runs nothing', async () => {
    expect(await start('service', ['--check']).ended()).toMatchObject({ code: EXIT.clean, out: '' })
    const wrong = await start('service', ['--check'], { PARTS: 'x' }).ended()
    expect(wrong).toMatchObject({ code: EXIT.wrongSetting, out: 'PARTS: must be a whole number from 1\n' })
  })

  it('an argument it does not know runs nothing', async () => {
    const { code, err, told } = await start('service', ['--chekc']).ended()
    expect([code, told]).toEqual([EXIT.wrongSetting, []])
    expect(err).toContain('unknown argument --chekc')
  })
})
