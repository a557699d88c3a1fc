import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { topicSpecs } from '@candlewick/schemas/topics'
import { CHART, EXAMPLES, isThere, KUBERNETES, render, ROOT, tool, VERSION } from './helm.js'

const hasHelm = await isThere('helm', 'version', 'the chart is not rendered')
const hasUnittest = await isThere('helm-unittest', '--help', 'the suites of the chart are not run')
const hasValidate = await isThere('kubernetes-validate', '--version', 'the manifests are not validated')
const hasScore = await isThere('kube-score', 'version', 'the manifests are not scored')
const hasTerraform = await isThere(
  'terraform',
  'version',
  'the Terraform module is not looked at',
  'https://developer.hashicorp.com/terraform/install',
)

/** What kube-score asks and we decided otherwise. */
const NOT_OURS = [
  'container-image-pull-policy', // tags are versions: IfNotPresent
  'container-security-context-user-group-id', // 1000 and 999 are the users of the images
]

interface Manifest {
  kind: string
  metadata: { name: string; namespace?: string }
  spec: Record<string, unknown>
  data?: Record<string, string>
}

async function manifests(args: readonly string[] = []): Promise<Manifest[]> {
  return parseAllDocuments(await render(args))
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null)
}

const scratch = await mkdtemp(join(tmpdir(), 'candlewick-helm-'))
afterAll(() => rm(scratch, { recursive: true, force: true }))

const sets = [
  { values: 'default values', args: [] as string[] },
  ...EXAMPLES.map((name) => ({ values: `examples/${name}`, args: ['--values', `${CHART}/examples/${name}`] })),
]

describe.skipIf(!hasHelm).each(sets)('the chart with $values', ({ values, args }) => {
  it('passes helm lint', async () => {
    expect(await tool('helm', ['lint', '--strict', ...KUBERNETES, CHART, ...args])).toContain('0 chart(s) failed')
  })

  it.skipIf(!hasValidate)('is valid for Kubernetes 1.35, without unknown fields', async () => {
    const file = join(scratch, values.replaceAll('/', '-'))
    await writeFile(file, await render(args))
    const said = await tool('kubernetes-validate', ['--strict', '-k', '1.35.0', file])
    expect(said).toContain('passed for resource statefulset/candlewick-processor')
    const strangers = [...said.matchAll(/Couldn't find schema for kind \S+ with api version (\S+)/g)].map(
      ([, api]) => api,
    )
    // Only resources of operators are unknown to it.
    const operators =
      /^(kafka\.strimzi\.io|k8ssandra\.io|monitoring\.coreos\.com|keda\.sh|gateway\.networking\.k8s\.io)\//
    expect(strangers.filter((api) => !operators.test(api!))).toEqual([])
  })

  it.skipIf(!hasScore)('passes kube-score', async () => {
    const ignore = NOT_OURS.flatMap((name) => ['--ignore-test', name])
    const args2 = ['score', '--output-format', 'ci', '--kubernetes-version', 'v1.30', '--ignore-container-cpu-limit']
    const said = await tool('kube-score', [...args2, ...ignore, '-'], { input: await render(args) })
    expect(said.split('\n').filter((line) => line.startsWith('[CRITICAL]'))).toEqual([])
  })
})

describe.skipIf(!hasHelm)('the chart', () => {
  it('packs every dashboard and rule as they are, and renders them unchanged', async () => {
    const folders = { dashboards: 'grafana/dashboards', rules: 'observability/prometheus/rules' }
    await tool('helm', ['package', CHART, '--destination', scratch])
    await tool('tar', ['-xzf', join(scratch, `candlewick-${VERSION}.tgz`), '-C', scratch])
    for (const [name, folder] of Object.entries(folders)) {
      const files = readdirSync(join(ROOT, folder))
      expect(files.length).toBeGreaterThan(0)
      expect(readdirSync(join(scratch, 'candlewick/files', name)).sort()).toEqual(files.sort())
      for (const file of files) {
        const packed = await readFile(join(scratch, 'candlewick/files', name, file), 'utf8')
        expect(packed).toBe(await readFile(join(ROOT, folder, file), 'utf8'))
      }
    }
    const rendered = await manifests(['--set', 'monitoring.prometheusRule.enabled=true'])
    for (const file of readdirSync(join(ROOT, folders.dashboards))) {
      const name = `candlewick-dashboard-${file.replace('.json', '')}`
      const map = rendered.find((manifest) => manifest.metadata.name === name)
      expect(map?.data?.[file]).toBe(await readFile(join(ROOT, folders.dashboards, file), 'utf8'))
    }
    const rules = rendered.filter(({ kind }) => kind === 'PrometheusRule')
    const files = readdirSync(join(ROOT, folders.rules)).sort()
    const wanted = await Promise.all(files.map((file) => readFile(join(ROOT, folders.rules, file), 'utf8')))
    expect(rules.map(({ spec }) => spec)).toEqual(wanted.map((text) => parseAllDocuments(text)[0]!.toJS() as unknown))
  })

  it('lets Strimzi make the topics exactly as our own job does', async () => {
    const args = ['--set', 'kafka.mode=operator', '--set', 'topicPrefix=eu.', '--set', 'kafka.topics.partitions=24']
    const topics = (await manifests(args)).filter(({ kind }) => kind === 'KafkaTopic')
    const made = topics.map(({ spec: { topicName, partitions, replicas, config } }) => {
      const entries = Object.entries(config as Record<string, unknown>).map(([key, value]) => [key, String(value)])
      return {
        name: topicName,
        partitions,
        replicationFactor: replicas,
        config: Object.fromEntries(entries) as unknown,
      }
    })
    const wanted = topicSpecs({ partitions: 24, replicationFactor: 3, prefix: 'eu.' })
    const byName = (a: { name: unknown }, b: { name: unknown }) => String(a.name).localeCompare(String(b.name))
    expect(made.sort(byName)).toEqual([...wanted].sort(byName))
  })

  it('names the jobs by their content: the same values give the same job, others another', async () => {
    const jobs = async (...args: string[]) =>
      (await manifests(args)).filter(({ kind }) => kind === 'Job').map(({ metadata }) => metadata.name)
    const before = await jobs()
    expect(await jobs('--set', 'processor.replicas=5')).toEqual(before)
    const after = await jobs('--set', 'cassandra.tradesTtlDays=7')
    expect(after.filter((name) => before.includes(name)).map((name) => name.replace(/-\w+$/, ''))).toEqual([
      'candlewick-topics',
    ])
    expect((await jobs('--set', 'image.tag=9.9.9')).filter((name) => before.includes(name))).toEqual([])
  })

  it('refuses values nobody knows', async () => {
    await expect(render(['--set', 'processor.replica=3'])).rejects.toThrow(
      "additional properties 'replica' not allowed",
    )
    await expect(render(['--set', 'kafka.mode=maybe'])).rejects.toThrow(/kafka.mode/)
  })

  it.skipIf(!hasUnittest)('passes its own suites', async () => {
    const said = await tool('helm-unittest', ['--strict', '--file', 'tests/*.yaml', CHART])
    expect(said).toMatch(/Tests: +\d+ passed, \d+ total/)
  })
})

describe('values', () => {
  it('are all in the README, with their defaults and meaning', async () => {
    expect(await tool(process.execPath, ['helm/generate-readme.mjs', '--check'])).toBe('')
  })

  it('all have their place in the schema', async () => {
    type Schema = { properties?: Record<string, Schema>; additionalProperties?: unknown; $ref?: string; type?: unknown }
    const schema = JSON.parse(await readFile(`${CHART}/values.schema.json`, 'utf8')) as Schema
    const values = parseAllDocuments(await readFile(`${CHART}/values.yaml`, 'utf8'))[0]!.toJS() as object
    const unknown: string[] = []
    function compare(value: unknown, place: Schema | undefined, path: string): void {
      if (place === undefined) unknown.push(path)
      else if (place.properties && typeof value === 'object' && value !== null && !Array.isArray(value)) {
        if (place.additionalProperties !== false) unknown.push(`${path} takes anything`)
        for (const [key, inner] of Object.entries(value)) compare(inner, place.properties[key], `${path}.${key}`)
      }
    }
    compare(values, schema, '')
    expect(unknown).toEqual([])
  })
})

describe.skipIf(!hasTerraform)('the Terraform module', () => {
  it('is formatted as terraform fmt does it', async () => {
    await tool('terraform', ['fmt', '-check', '-recursive', 'terraform'])
  })
})
