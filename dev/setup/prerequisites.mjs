import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, statfsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const LEAST = { node: [20, 19], java: 17, diskGb: 3 }
/** Cassandra 5.0 installs a security manager, which Java 24 no longer knows. */
const LAST_JAVA = 23

/**
 * What is missing on this machine, one line each that says what to do; empty when all is there.
 * @param {string} rootDir the checkout
 */
export function missingPrerequisites(rootDir) {
  return [nodeVersion(process.versions.node), java(process.env), maven(rootDir, process.env), disk(rootDir)].filter(
    (problem) => problem !== undefined,
  )
}

export function nodeVersion(version) {
  const [major, minor] = version.split('.').map(Number)
  if (major > LEAST.node[0] || (major === LEAST.node[0] && minor >= LEAST.node[1])) return undefined
  return `Node.js ${LEAST.node.join('.')} or newer is needed, this is ${version}: install it from https://nodejs.org (or: nvm install)`
}

function java(env) {
  const command = env.JAVA_HOME ? join(env.JAVA_HOME, 'bin', 'java') : 'java'
  const { error, status, stderr } = spawnSync(command, ['-version'], { encoding: 'utf8' })
  const where = env.JAVA_HOME ? `JAVA_HOME=${env.JAVA_HOME} has no working bin/java` : 'Java is not on the PATH'
  if (error !== undefined || status !== 0)
    return `${where}: install Java ${LEAST.java} (a JRE is enough) ${HOW_TO_JAVA}`
  return javaVersion(stderr, command)
}

const HOW_TO_JAVA =
  '(Debian: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17) or set JAVA_HOME to it'

/** @param {string} output of `java -version`: `openjdk version "17.0.15" 2025-04-15`; before Java 9 it said "1.8.0_402" */
export function javaVersion(output, command = 'java') {
  const [, major, minor] = /version "(\d+)(?:\.(\d+))?/.exec(output) ?? []
  const version = Number(major === '1' ? minor : major)
  if (version >= LEAST.java && version <= LAST_JAVA) return undefined
  return `Java ${LEAST.java} to ${LAST_JAVA} is needed, ${command} is ${Number.isNaN(version) ? 'of an unknown version' : version}: install Java ${LEAST.java} ${HOW_TO_JAVA}`
}

/** Maven fetches the jars of Kafka and Cassandra; once they are here it is no longer needed. */
function maven(rootDir, env) {
  const jars = join(rootDir, '.local', 'jars')
  const fetched = existsSync(jars) ? readdirSync(jars).filter((name) => existsSync(join(jars, name, '.complete'))) : []
  if (['kafka-', 'cassandra-'].every((name) => fetched.some((dir) => dir.startsWith(name)))) return undefined
  if ((env.PATH ?? '').split(delimiter).some((dir) => isExecutable(join(dir, 'mvn')))) return undefined
  return 'Maven (mvn) is not on the PATH: install it (Debian: apt install maven; macOS: brew install maven); it fetches Kafka and Cassandra, once'
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function disk(rootDir) {
  const { bavail, bsize } = statfsSync(rootDir)
  return enoughDisk(bavail * bsize, rootDir)
}

export function enoughDisk(freeBytes, rootDir) {
  const freeGb = freeBytes / 1024 ** 3
  if (freeGb >= LEAST.diskGb) return undefined
  return `${LEAST.diskGb} GB of free disk are needed, ${rootDir} has ${freeGb.toFixed(1)} GB: free some (npm run reset clears the data of earlier runs)`
}
