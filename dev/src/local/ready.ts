import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { StartError } from '@candlewick/service/process'
import { describeExit, type Child } from './child.js'

export interface WaitOptions {
  /** Default: as long as it lives. */
  timeoutMs?: number
  signal?: AbortSignal | undefined
  everyMs?: number
}

/**
 * Asks again and again until the server answers.
 * @throws StartError with the last lines of its log when it ends before that or takes too long
 */
export async function waitReady(
  child: Child,
  probe: () => Promise<boolean>,
  { timeoutMs = Infinity, signal, everyMs = 100 }: WaitOptions,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await probe())) {
    signal?.throwIfAborted()
    if (child.exit !== undefined) throw new StartError(`${child.name} ended at its start (${lastWords(child)}`)
    if (performance.now() > deadlineMs) {
      throw new StartError(
        `${child.name} did not answer within ${timeoutMs / 1_000} s (still running; ${lastWords(child)}`,
      )
    }
    await Promise.race([delay(everyMs), child.exited])
  }
}

function lastWords(child: Child): string {
  const how = child.exit === undefined ? '' : `${describeExit(child.exit)}; `
  return `${how}log: ${child.logFile}). Its last lines:\n${child.lastLines(12).join('\n')}`
}

/**
 * Sends one request over a fresh connection and hands every answer so far to `accept` until that is content.
 * @returns false when nobody listens, the connection ends, or no good answer came within `timeoutMs`
 */
export function asks(
  where: { host: string; port: number },
  request: Buffer,
  accept: (answer: Buffer) => boolean,
  timeoutMs = 2_000,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(where)
    let answer = Buffer.alloc(0)
    const done = (good: boolean) => {
      socket.destroy()
      resolve(good)
    }
    socket.setTimeout(timeoutMs, () => done(false))
    socket.once('connect', () => socket.write(request))
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      if (accept(answer)) done(true)
    })
  })
}

/** Whether a server begins to speak TLS there; whom it lets in, and whether we would trust it, is not asked. */
export function speaksTls(where: { host: string; port: number }, timeoutMs = 2_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ ...where, rejectUnauthorized: false })
    const done = (good: boolean) => {
      socket.destroy()
      resolve(good)
    }
    socket.setTimeout(timeoutMs, () => done(false))
    socket.once('secureConnect', () => done(true))
    // An alert (we have no certificate) is TLS as well.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => done(code?.startsWith('ERR_SSL_') ?? false))
    socket.once('close', () => done(false))
  })
}
