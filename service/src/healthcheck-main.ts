#!/usr/bin/env node
import { get } from 'node:http'

/**
 * What a container's HEALTHCHECK runs, since the images have no curl: asks the process beside it whether it is ready and
 * ends with 0 or 1. The argument names the setting that holds the port: `healthcheck-main.js PRODUCER_PORT`.
 */
const TIMEOUT_MS = 2_500

const setting = process.argv[2] ?? ''
const port = Number(process.env[setting])

function unhealthy(reason: string): never {
  process.stdout.write(`${reason}\n`)
  process.exit(1)
}

if (!Number.isInteger(port) || port < 1 || port > 65_535) unhealthy(`${setting || 'the argument'} names no port`)

get({ host: '127.0.0.1', port, path: '/readyz', timeout: TIMEOUT_MS }, (answer) => {
  let body = ''
  answer.setEncoding('utf8')
  answer.on('data', (chunk: string) => (body += chunk))
  // Docker keeps what is printed: `docker inspect` then shows why it is not ready.
  answer.on('end', () => (answer.statusCode === 200 ? process.exit(0) : unhealthy(body)))
})
  .on('timeout', () => unhealthy(`no answer within ${TIMEOUT_MS} ms`))
  .on('error', (error) => unhealthy(error.message))
