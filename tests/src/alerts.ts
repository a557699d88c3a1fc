import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from './tools.js'

export const RULES_DIR = 'observability/prometheus/rules'

export interface AlertRule {
  alert: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

export function readYaml(path: string): unknown {
  return parse(readFileSync(join(ROOT, path), 'utf8'))
}

export function alertRules(): AlertRule[] {
  return readdirSync(join(ROOT, RULES_DIR)).flatMap((file) => {
    const { groups } = readYaml(join(RULES_DIR, file)) as { groups: { rules: AlertRule[] }[] }
    return groups.flatMap(({ rules }) => rules)
  })
}
