import { describe, expect, it } from 'vitest'
import { alertRules } from './alerts.js'
import { hasTool, runTool } from './tools.js'

describe.skipIf(!hasTool('promtool', 'the alert rules are not tested'))('the alert rules', () => {
  it('and the configuration of Prometheus are valid', () => {
    expect(runTool('promtool', ['check', 'config', 'observability/prometheus/prometheus.yml'])).toMatch(/SUCCESS/)
  })

  it('fire when their tests say so, and not else', () => {
    expect(runTool('promtool', ['test', 'rules', 'observability/prometheus/tests/candlewick.yml'])).toMatch(/SUCCESS/)
  })
})

const ALERTMANAGERS = ['alertmanager', 'with-receivers'].map((name) => `observability/alertmanager/${name}.yml`)

describe.skipIf(!hasTool('amtool', 'the routes of alerts are not tested')).each(ALERTMANAGERS)('%s', (file) => {
  it('is valid', () => {
    expect(runTool('amtool', ['check-config', file])).toMatch(/SUCCESS/)
  })

  const receiverOf = (...labels: string[]) =>
    runTool('amtool', ['config', 'routes', 'test', `--config.file=${file}`, ...labels]).trim()

  it.each(alertRules())('sends $alert to the receiver of its severity', ({ alert, labels }) => {
    const severity = labels['severity']!
    expect(receiverOf(`alertname=${alert}`, `severity=${severity}`)).toBe(severity)
  })

  it('sends what has no severity of ours to nobody', () => {
    expect(receiverOf('alertname=Watchdog')).toBe('nobody')
    expect(receiverOf('alertname=Other', 'severity=info')).toBe('nobody')
  })
})
