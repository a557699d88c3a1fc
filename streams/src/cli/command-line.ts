import { parseArgs } from 'node:util'
import { messageOf } from '../errors.js'
import { CliError } from './failure.js'
import { DESCRIBE_USAGE, RESET_USAGE, USAGE } from './usage.js'

/** Where an application begins again. */
export type ResetTarget =
  { readonly kind: 'earliest' | 'latest' | 'none' } | { readonly kind: 'time'; readonly timestampMs: number }

interface Application {
  readonly applicationId: string
  readonly brokers: readonly string[] | undefined
  readonly configFile: string | undefined
}

export interface DescribeCommand extends Application {
  readonly kind: 'describe'
  readonly json: boolean
}

export interface ResetCommand extends Application {
  readonly kind: 'reset'
  readonly stateDirs: readonly string[]
  readonly to: ResetTarget
  readonly execute: boolean
}

export type Command = { readonly kind: 'help'; readonly text: string } | DescribeCommand | ResetCommand

const HELP = { help: { type: 'boolean', short: 'h' } } as const
const CONNECTION = {
  'application-id': { type: 'string' },
  brokers: { type: 'string' },
  config: { type: 'string' },
} as const

/** @throws CliError with exit code 2 for arguments that are wrong, missing or unknown */
export function parseCommandLine(args: readonly string[]): Command {
  const [name, ...rest] = args
  switch (name) {
    case undefined:
      throw new CliError(`a command is missing\n\n${USAGE}`, 2)
    case '--help':
    case '-h':
    case 'help':
      return { kind: 'help', text: USAGE }
    case 'describe': {
      const values = parse({ ...HELP, ...CONNECTION, json: { type: 'boolean' } } as const, rest, DESCRIBE_USAGE)
      if (values.help === true) return { kind: 'help', text: DESCRIBE_USAGE }
      return { kind: 'describe', ...application(values, DESCRIBE_USAGE), json: values.json ?? false }
    }
    case 'reset': {
      const own = {
        'state-dir': { type: 'string', multiple: true },
        to: { type: 'string' },
        execute: { type: 'boolean' },
      } as const
      const values = parse({ ...HELP, ...CONNECTION, ...own }, rest, RESET_USAGE)
      if (values.help === true) return { kind: 'help', text: RESET_USAGE }
      return {
        kind: 'reset',
        ...application(values, RESET_USAGE),
        stateDirs: [...new Set(values['state-dir'] ?? [])],
        to: target(values.to ?? 'earliest'),
        execute: values.execute ?? false,
      }
    }
    default:
      throw new CliError(`there is no command ${name}\n\n${USAGE}`, 2)
  }
}

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>

function parse<O extends Options>(options: O, args: string[], usage: string) {
  try {
    return parseArgs<{ options: O; args: string[] }>({ options, args }).values
  } catch (error) {
    throw new CliError(`${messageOf(error)}\n\n${usage}`, 2, { cause: error })
  }
}

function application(
  values: { 'application-id'?: string; brokers?: string; config?: string },
  usage: string,
): Application {
  const { 'application-id': applicationId, brokers, config } = values
  const wrong = (what: string) => new CliError(`${what}\n\n${usage}`, 2)
  if (applicationId === undefined || applicationId === '') throw wrong('--application-id is missing')
  if (brokers === undefined && config === undefined) throw wrong('--brokers or --config is missing')
  const list = brokers?.split(',').map((broker) => broker.trim())
  const odd = list?.find((broker) => !/^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(broker))
  if (odd !== undefined) throw wrong(`--brokers: '${odd}' is not host:port`)
  return { applicationId, brokers: list, configFile: config }
}

/** A date, or a date and time with its zone: what a clock elsewhere means by it would be a guess. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/

function target(to: string): ResetTarget {
  if (to === 'earliest' || to === 'latest' || to === 'none') return { kind: to }
  const timestampMs = ISO_TIME.test(to) ? Date.parse(to) : Number.NaN
  if (Number.isNaN(timestampMs)) {
    throw new CliError(
      `--to: '${to}' is neither earliest, latest, none nor a time with its zone as 2026-11-21T09:00:00Z`,
      2,
    )
  }
  return { kind: 'time', timestampMs }
}
