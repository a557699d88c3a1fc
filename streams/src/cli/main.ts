#!/usr/bin/env node
import { runCli } from './run.js'

// Whoever reads it may have read enough: that alone ends nothing half way.
process.stdout.on('error', () => undefined)
process.exitCode = await runCli(process.argv.slice(2), {
  out: (line) => console.log(line),
  err: (line) => console.error(`streams: ${line}`),
})
