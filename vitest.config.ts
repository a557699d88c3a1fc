import { defineConfig } from 'vitest/config'

/** Tests run on the sources: no build stands between a change and its test. Child processes run what `tsc -b` built. */
const resolve = {
  alias: [
    { find: /^@candlewick\/streams$/, replacement: new URL('./streams/src/index.ts', import.meta.url).pathname },
    { find: /^@candlewick\/([a-z-]+)\/(.+)$/, replacement: new URL('./$1/src/$2.ts', import.meta.url).pathname },
  ],
}

const inWorkspaces = (suffix: string) => [`*/src/**/*.${suffix}.ts`, `streams/examples/*/src/**/*.${suffix}.ts`]

const everywhere = [...inWorkspaces('test'), 'query-api/web/src/**/*.test.ts']
const withServers = ['kafka.test', 'cassandra.test', 'e2e.test'].flatMap(inWorkspaces)
const withBrowser = inWorkspaces('browser.test')
/** Needs tools that npm does not bring; what is missing is skipped by name. */
const withTools = inWorkspaces('tools.test')
/** Kills and freezes processes at every step of the protocol: minutes of mostly waiting. */
const withFaults = inWorkspaces('faults.test')
/** Builds the images and runs them: needs a Docker engine, or a Kubernetes cluster. */
const withCompose = inWorkspaces('compose.test')
const withCluster = inWorkspaces('cluster.test')
const elsewhere = [...withServers, ...withBrowser, ...withTools, ...withFaults, ...withCompose, ...withCluster]
const serverLimits = { testTimeout: 60_000, hookTimeout: 120_000 }

export default defineConfig({
  test: {
    reporters: ['default'],
    // Most of what the tests do is wait for servers: every core takes part.
    maxWorkers: '100%',
    projects: [
      // Nothing in them takes long by itself, but two cores may be shared with servers and builds.
      { resolve, test: { name: 'unit', include: everywhere, exclude: elsewhere, testTimeout: 30_000 } },
      {
        resolve,
        test: {
          name: 'servers',
          include: withServers,
          globalSetup: ['./tests/src/setup/servers.ts'],
          ...serverLimits,
        },
      },
      { resolve, test: { name: 'browser', include: withBrowser, ...serverLimits, testTimeout: 180_000 } },
      { resolve, test: { name: 'tools', include: withTools, ...serverLimits } },
      {
        resolve,
        test: {
          name: 'faults',
          include: withFaults,
          globalSetup: ['./tests/src/setup/servers.ts'],
          // One file after the other, when nothing else runs: each of its tests starts several processes.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          maxConcurrency: 3,
          ...serverLimits,
          testTimeout: 180_000,
        },
      },
      { resolve, test: { name: 'compose', include: withCompose } },
      { resolve, test: { name: 'cluster', include: withCluster } },
    ],
  },
})
