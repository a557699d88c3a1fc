#!/usr/bin/env node
/** `npm run bench -- <name> [options]`: each benchmark is a program of its own; this finds it by its name. */
const BENCHMARKS: Readonly<Record<string, { summary: string; run(): Promise<unknown> }>> = {
  restore: {
    summary: 'how fast a lost state is restored from its changelogs (--records, --keys, --tasks, --engine)',
    run: () => import('./restore-main.js'),
  },
  failover: {
    summary:
      'how long until the keys of a killed process are answered, and processed, again (--kills, --restart, --processes, --partitions, --brokers)',
    run: () => import('./failover-main.js'),
  },
}

const [name = '', ...options] = process.argv.slice(2)
const benchmark = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined
if (benchmark === undefined) {
  const list = Object.entries(BENCHMARKS).map(([known, { summary }]) => `  ${known.padEnd(10)} ${summary}`)
  console.log(['Usage: npm run bench -- <name> [options]', '', ...list].join('\n'))
  process.exitCode = ['--help', '-h'].includes(name) ? 0 : 1
} else {
  process.argv.splice(2, process.argv.length, ...options)
  await benchmark.run()
}
