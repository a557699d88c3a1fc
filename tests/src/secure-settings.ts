import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ROOT } from '@candlewick/dev/local/paths'

export interface Ended {
  code: number | null
  stderr: string
  /** Both streams. */
  output: string
}

/** Runs a process of ours, as built, with these settings alone, to its end. */
export async function runMain(main: string, env: Record<string, string>): Promise<Ended> {
  const { PATH = '' } = process.env
  const child = spawn(process.execPath, [`${ROOT}/${main}`], { env: { PATH, ...env } })
  const ended = { stderr: '', output: '' }
  child.stdout.on('data', (bytes) => (ended.output += String(bytes)))
  child.stderr.on('data', (bytes) => {
    ended.stderr += String(bytes)
    ended.output += String(bytes)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...ended }
}
