import { StartError } from '@candlewick/service/process'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { exitCodeOf } from './command.js'

const said: string[] = []
beforeEach(() => {
  said.length = 0
  for (const name of ['log', 'error'] as const)
    vi.spyOn(console, name).mockImplementation((text) => said.push(`${text}`))
})
afterEach(() => vi.restoreAllMocks())

test.each([['--help'], ['-h'], ['--keep', '--help'], ['--nonsense', '--help']])('%s only explains', async (...args) => {
  const run = vi.fn(async () => undefined)
  expect(await exitCodeOf({ usage: 'what it does', options: { keep: { type: 'boolean' } }, run }, args)).toBe(0)
  expect(run).not.toHaveBeenCalled()
  expect(said).toEqual(['what it does'])
})

test.each(['--nonsense', '--keep=1', 'all', '-x'])(
  '%s, which it does not know, is refused before it acts',
  async (arg) => {
    const run = vi.fn(async () => undefined)
    expect(await exitCodeOf({ usage: 'what it does', options: { keep: { type: 'boolean' } }, run }, [arg])).toBe(1)
    expect(run).not.toHaveBeenCalled()
    expect(said.join()).toMatch(/\n\nwhat it does$/)
  },
)

test('what it knows reaches it, and its exit code or failure is that of the command', async () => {
  const options = { keep: { type: 'boolean' }, speed: { type: 'string', default: 'max' } } as const
  const run = vi.fn(async () => 3)
  expect(await exitCodeOf({ usage: '', options, positionals: true, run }, ['file', '--keep'])).toBe(3)
  expect(run).toHaveBeenCalledWith(
    expect.objectContaining({ values: { keep: true, speed: 'max' }, positionals: ['file'] }),
  )
  const failing = () => Promise.reject(new StartError('port 1 is taken'))
  expect(await exitCodeOf({ usage: '', run: failing }, [])).toBe(1)
  expect(said).toEqual(['port 1 is taken'])
})
