import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { alertRules, readYaml } from './alerts.js'
import { queriesOf } from './grafana-dashboards.js'
import { describeMetrics, REGISTRIES } from './metrics-registries.js'
import { ROOT } from './tools.js'

/** The anchors GitHub makes of a page's headings. */
function anchorsOf(page: string): Set<string> {
  const headings = readFileSync(join(ROOT, page), 'utf8').matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, text]) =>
      text!
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

describe.each(alertRules())('the alert $alert', ({ alert, labels, annotations }) => {
  it('has a severity that is routed, and says what it is about', () => {
    expect(['page', 'ticket']).toContain(labels['severity'])
    expect(annotations['summary']).toBeTruthy()
    expect(annotations['description']).toBeTruthy()
  })

  it('has a section in the runbook', () => {
    const [page, anchor] = annotations['runbook_url']!.split('#')
    expect(page).toBe('docs/runbook.md')
    expect(anchor).toBe(alert.toLowerCase())
    expect(anchorsOf(page!)).toContain(anchor)
  })

  it('has a test that says when it fires, and one that says when not', () => {
    interface AlertTest {
      alertname: string
      exp_alerts: unknown[]
    }
    const { tests } = readYaml('observability/prometheus/tests/candlewick.yml') as {
      tests: { alert_rule_test: AlertTest[]; input_series: unknown[] }[]
    }
    const own = tests.filter((one) => one.alert_rule_test.some(({ alertname }) => alertname === alert))
    const expectations = own.flatMap((one) => one.alert_rule_test).filter(({ alertname }) => alertname === alert)
    expect(expectations.some(({ exp_alerts }) => exp_alerts.length > 0)).toBe(true)
    const quietSomewhere = expectations.some(({ exp_alerts }) => exp_alerts.length === 0)
    const quietSeries = own.some(({ input_series, alert_rule_test }) =>
      alert_rule_test.some(({ exp_alerts }) => input_series.length > exp_alerts.length),
    )
    expect(quietSomewhere || quietSeries).toBe(true)
  })
})

it('every section of the runbook is about an alert', () => {
  const alerts = new Set(alertRules().map(({ alert }) => alert.toLowerCase()))
  const [, ...sections] = [...anchorsOf('docs/runbook.md')]
  expect(sections.filter((anchor) => !alerts.has(anchor))).toEqual([])
})

it('the Alertmanager with receivers routes and inhibits as the silent one does', () => {
  const [silent, telling] = ['alertmanager', 'with-receivers'].map(
    (name) => readYaml(`observability/alertmanager/${name}.yml`) as Record<string, unknown>,
  )
  expect(telling!['route']).toEqual(silent!['route'])
  expect(telling!['inhibit_rules']).toEqual(silent!['inhibit_rules'])
})

it('the Alertmanager files hold no secret', () => {
  for (const name of ['alertmanager', 'with-receivers']) {
    const text = readFileSync(join(ROOT, `observability/alertmanager/${name}.yml`), 'utf8')
    expect(text).not.toMatch(/^\s*\S*(password|api_url|credentials|token|routing_key):/m)
  }
})

it('every metric of ours that an alert or a dashboard names is served by a process', () => {
  const served = new Set(
    Object.values(REGISTRIES).flatMap((registry) => describeMetrics(registry).map(({ name }) => name)),
  )
  const expressions = [
    ...alertRules().map(({ expr }) => expr),
    ...queriesOf('pipeline').map(({ target }) => String(target['expr'])),
  ]
  const named = new Set(expressions.flatMap((expr) => expr.match(/\bcandlewick_\w+/g) ?? []))
  const unknown = [...named].filter(
    (name) => !served.has(name) && !served.has(name.replace(/_(bucket|sum|count)$/, '')),
  )
  expect(named.size).toBeGreaterThan(30)
  expect(unknown).toEqual([])
})
