import { KafkaAdmin } from '../kafka/admin.js'
import { KafkaClient } from '../kafka/client.js'
import type { KafkaConfig, KafkaLog } from '../kafka/config.js'
import { GroupAdmin } from '../kafka/group-admin.js'
import { parseCommandLine, type DescribeCommand, type ResetCommand } from './command-line.js'
import { describeText } from './describe-text.js'
import { describeApplication } from './describe.js'
import { CliError, sentenceOf } from './failure.js'
import { readKafkaConfigFile } from './kafka-config-file.js'
import { LocalState } from './local-state.js'
import { planReset, type ResetPlan } from './reset-plan.js'
import { planText } from './reset-text.js'
import { executeReset, RESET_STEPS } from './reset.js'

/** Where lines go. */
export interface Output {
  out(line: string): void
  err(line: string): void
}

interface Admins {
  readonly admin: KafkaAdmin
  readonly groups: GroupAdmin
}

/** What happens inside is told by the outcome; a tool that is run by hand needs no log besides. */
const SILENT: KafkaLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
const REQUEST_TIMEOUT_MS = 15_000

/** Runs one command. @returns its exit code: 0 done, 1 not done, 2 wrong arguments */
export async function runCli(args: readonly string[], output: Output): Promise<number> {
  try {
    const command = parseCommandLine(args)
    if (command.kind === 'help') {
      output.out(command.text.trimEnd())
      return 0
    }
    return await withKafka(command, (admins) =>
      command.kind === 'describe' ? describe(admins, command, output) : reset(admins, command, output),
    )
  } catch (error) {
    const sentence = sentenceOf(error)
    if (sentence === undefined) throw error
    output.err(sentence)
    return error instanceof CliError ? error.exitCode : 1
  }
}

async function withKafka<T>(
  { brokers, configFile }: DescribeCommand | ResetCommand,
  use: (admins: Admins) => Promise<T>,
): Promise<T> {
  const file = configFile === undefined ? {} : await readKafkaConfigFile(configFile)
  const config: KafkaConfig = {
    clientId: 'streams-cli',
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...file,
    brokers: brokers ?? file.brokers ?? [],
  }
  if (config.brokers.length === 0) throw new CliError(`--config ${configFile} names no brokers: add them, or --brokers`)
  const client = new KafkaClient(config, SILENT)
  try {
    await client.connect()
    return await use({ admin: new KafkaAdmin(client), groups: new GroupAdmin(client) })
  } finally {
    await client.close()
  }
}

async function describe(admins: Admins, { applicationId, json }: DescribeCommand, output: Output): Promise<number> {
  const description = await describeApplication(admins, applicationId)
  output.out(json ? JSON.stringify(description) : describeText(description).join('\n'))
  return 0
}

async function reset(admins: Admins, command: ResetCommand, output: Output): Promise<number> {
  const local: LocalState[] = []
  try {
    // The locks first, and held to the end: no instance starts on a directory that is being looked at or cleared.
    for (const stateDir of command.stateDirs) {
      const found = await LocalState.open(stateDir, command.applicationId)
      if (found !== undefined) local.push(found)
    }
    const plan = await planReset(admins, command, local)
    output.out(planText(plan).join('\n'))
    output.out('')
    if (plan.obstacles.length > 0) {
      for (const obstacle of plan.obstacles) output.err(`not possible now: ${obstacle}`)
      return 1
    }
    return command.execute ? await execute(admins, plan, output) : dryRun(output)
  } finally {
    for (const state of local) await state.close()
  }
}

function dryRun(output: Output): number {
  output.out('nothing was changed: --execute does it')
  return 0
}

async function execute(admins: Admins, plan: ResetPlan, output: Output): Promise<number> {
  await executeReset(admins, plan, (step) => {
    output.out(`${RESET_STEPS.indexOf(step) + 1}/${RESET_STEPS.length} ${step}`)
  })
  output.out('done: the application starts over when it is started')
  return 0
}
