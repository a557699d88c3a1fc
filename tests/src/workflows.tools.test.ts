import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { isThere, ROOT, tool } from './helm.js'

const WORKFLOWS = readdirSync(`${ROOT}.github/workflows`)
const hasActionlint = await isThere('actionlint', '-version', 'the workflows are not linted')

interface Workflow {
  permissions?: Record<string, string>
  concurrency?: { group: string }
  jobs: Record<string, { uses?: string; 'timeout-minutes'?: number; steps?: { uses?: string; run?: string }[] }>
}

const read = (name: string) => parse(readFileSync(`${ROOT}.github/workflows/${name}`, 'utf8')) as Workflow

describe.skipIf(!hasActionlint)('actionlint', () => {
  it('finds nothing in the workflows', async () => {
    expect(await tool('actionlint', ['-no-color'])).toBe('')
  })
})

describe.each(WORKFLOWS)('%s', (name) => {
  const workflow = read(name)
  const steps = Object.values(workflow.jobs).flatMap((job) => job.steps ?? [])

  it('reads only, unless a job asks for more; has a concurrency group of its own and an end for every job', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' })
    expect(workflow.concurrency?.group).toMatch(new RegExp(`^${name.replace('.yml', '')}`))
    for (const job of Object.values(workflow.jobs))
      if (job.uses === undefined) expect(job['timeout-minutes']).toBeGreaterThan(0)
  })

  it('uses actions by a version, never by a branch', () => {
    for (const { uses } of steps) if (uses !== undefined) expect(uses).toMatch(/@(v\d+(\.\d+)*|[0-9a-f]{40})$/)
  })

  it('runs npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { scripts: Record<string, string> }
    const run = steps.flatMap((step) => [...(step.run ?? '').matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1]!))
    for (const script of run) expect(Object.keys(scripts)).toContain(script)
  })
})
