import { StartError } from '@candlewick/service/process'
import type { Child, Exit } from './child.js'

/** What the starters of Kafka and Cassandra have in common. */
export interface ServerOptions {
  /** Data, configuration and log of this server; created. Nobody else may use it while the server runs. */
  dir: string
  /** The checkout whose `.local/jars` is used; this one by default. */
  rootDir?: string
  /** Environment of the JVM, JAVA_HOME above all. Default: ours. */
  env?: NodeJS.ProcessEnv
  /** -Xmx of the JVM. */
  heapMb?: number
  /** Told when the jars have to be fetched first. */
  log?: (line: string) => void
  /** Default: `<name>.log` in dir. */
  logFile?: string
  /** Gives up the start; what was begun is ended. */
  signal?: AbortSignal | undefined
  /** Told as soon as the process exists, long before it answers. */
  onStarted?: (child: Child) => void
}

export interface Server {
  readonly host: string
  readonly port: number
  readonly pid: number
  readonly logFile: string
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<Exit>
  kill(signal: NodeJS.Signals): void
  /** Ends it in order (SIGTERM, SIGKILL after 15 s) and resolves when it is gone. */
  stop(): Promise<void>
}

/** The part of a server's handle that comes from its process. */
export function processOf(child: Child): Pick<Server, 'pid' | 'logFile' | 'exited' | 'kill' | 'stop'> {
  return {
    pid: child.pid,
    logFile: child.logFile,
    exited: child.exited,
    kill: (signal) => child.kill(signal),
    stop: async () => void (await child.stop({ timeoutMs: 15_000 })),
  }
}

/** A port that was free may be taken by the time a JVM listens. When ports were ours to pick, others are tried. */
export async function withPortRetries<T>(ownChoice: boolean, start: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start()
    } catch (error) {
      const taken = error instanceof StartError && /address already in use|failed to bind/i.test(error.message)
      if (!taken || !ownChoice || attempt === 3) throw error
    }
  }
}
