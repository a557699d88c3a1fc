import eslint from '@eslint/js'
import prettier from 'eslint-config-prettier'
import globals from 'globals'
import tseslint from 'typescript-eslint'

/** Which workspaces a workspace may import: the arrows of the architecture. Whatever is not listed is refused. */
const ARROWS = {
  schemas: [],
  streams: [],
  'streams/examples/*': ['streams', 'streams/kafka/*', 'streams/queries/*', 'streams/testing/*'],
  service: [],
  producer: ['schemas', 'service', 'streams/kafka/*'],
  cassandra: ['schemas', 'service', 'streams/kafka/*'],
  processor: ['schemas', 'service', 'streams', 'streams/*'],
  'query-api': ['schemas', 'service', 'streams/kafka/*', 'streams/queries/*', 'cassandra/reader', 'cassandra/settings'],
  grafana: [],
  dev: ['schemas', 'service', 'streams/kafka/*', 'producer/recording/*'],
}

/** Only these files of the runtime may touch KafkaJS; everybody else uses streams/kafka. */
const KAFKAJS = { group: ['kafkajs', 'kafkajs/*'], message: 'KafkaJS is touched in streams/src/kafka only.' }

/** Pure code: results depend on arguments alone, so it can be tested and replayed without a clock, a socket or a disk. */
const PURE = [
  'processor/src/market/**/*.ts',
  'streams/src/topology/**/*.ts',
  'streams/src/membership/assignor.ts',
  'streams/src/queries/role.ts',
  'streams/src/queries/page-merge.ts',
  'query-api/src/ws/session.ts',
]

/** An allowed import as the part of a regular expression after `@candlewick/`. */
function asRegex(name) {
  if (name.endsWith('/*')) return name.slice(0, -1)
  return name.includes('/') || name === 'streams' ? `${name}$` : `${name}/`
}

function arrows(workspace, allowed) {
  return {
    regex: allowed.length === 0 ? '^@candlewick/' : `^@candlewick/(?!(?:${allowed.map(asRegex).join('|')}))`,
    message: `${workspace} may not import this: imports follow the arrows of the architecture.`,
  }
}

function restrict(...patterns) {
  return { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] }
}

export default tseslint.config(
  { ignores: ['**/dist/', '.local/', 'coverage/', 'streams/docs/api/'] },
  eslint.configs.recommended,
  ...tseslint.configs.strict,
  { languageOptions: { globals: globals.node } },
  {
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
    },
  },
  ...Object.entries(ARROWS).map(([workspace, allowed]) => {
    return { files: [`${workspace}/src/**/*.ts`], rules: restrict(arrows(workspace, allowed), KAFKAJS) }
  }),
  { files: ['streams/src/kafka/**/*.ts'], rules: restrict(arrows('streams', [])) },
  // The process that runs the topology also starts the sink beside it.
  {
    files: ['processor/src/main.ts'],
    rules: restrict(arrows('processor', [...ARROWS.processor, 'cassandra']), KAFKAJS),
  },
  // An example may start a Kafka where there is none.
  {
    files: ['streams/examples/*/src/main.ts'],
    rules: restrict(arrows('an example', [...ARROWS['streams/examples/*'], 'dev/local/*']), KAFKAJS),
  },
  // Tests may start servers and the simulated exchange, and ask KafkaJS for a second opinion.
  ...Object.entries(ARROWS).map(([workspace, allowed]) => {
    const rules = restrict(arrows(workspace, [...allowed, 'dev']))
    return { files: [`${workspace}/src/**/*.test.ts`], rules }
  }),
  {
    files: PURE,
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-globals': ['error', 'process', 'setTimeout', 'setInterval', 'performance', 'fetch'],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Time is passed in.' },
        { object: 'Math', property: 'random', message: 'Chance is passed in.' },
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: ['node:*', 'kafkajs', 'cassandra-driver', 'classic-level', 'ws', 'fastify', 'pino', 'prom-client'],
        },
      ],
    },
  },
  { files: ['query-api/web/**/*.ts'], languageOptions: { globals: globals.browser } },
  { files: ['dev/src/**/*.ts', 'bench/src/**/*.ts', '**/*.mjs', '**/*main.ts'], rules: { 'no-console': 'off' } },
  prettier,
)
