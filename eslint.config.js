import eslint from '@eslint/js'
import prettier from 'eslint-config-prettier'
import globals from 'globals'
import tseslint from 'typescript-eslint'

/** Which workspaces a workspace may import: the arrows of the architecture. Whatever is not listed is refused. */
const ARROWS = {
  schemas: [],
  streams: [],
  service: [],
  producer: ['schemas', 'service', 'streams/kafka/*'],
  cassandra: ['schemas', 'service', 'streams/kafka/*'],
  processor: ['schemas', 'service', 'streams', 'streams/*'],
  'query-api': ['schemas', 'service', 'streams/kafka/*', 'streams/queries/*', 'cassandra/reader', 'cassandra/settings'],
  dev: ['schemas', 'service', 'streams/kafka/*', 'producer/recording/*'],
}

/** Only these files of the runtime may touch KafkaJS; everybody else uses streams/kafka. */
const KAFKAJS = { group: ['kafkajs', 'kafkajs/*'], message: 'KafkaJS is touched in streams/src/kafka only.' }

/** Pure code: results depend on arguments alone, so it can be tested and replayed without a clock, a socket or a disk. */
const PURE = [
  'processor/src/market/**/*.ts',
  'streams/src/topology/**/*.ts',
  'streams/src/membership/assignor.ts',
  'query-api/src/ws/session.ts',
]

/** An allowed import as the part of a regular expression after `@candlewick/`. */
function asRegex(name) {
  if (name.endsWith('/*')) return name.slice(0, -1)
  return name.includes('/') || name === 'streams' ? `${name}$` : `${name}/`
}

function arrowsOf(workspace, allowed) {
  const arrows = {
    regex: allowed.length === 0 ? '^@candlewick/' : `^@candlewick/(?!(?:${allowed.map(asRegex).join('|')}))`,
    message: `${workspace} may not import this: imports follow the arrows of the architecture.`,
  }
  return {
    files: [`${workspace}/src/**/*.ts`],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [arrows, KAFKAJS] }] },
  }
}

export default tseslint.config(
  { ignores: ['**/dist/', '.local/', 'coverage/'] },
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
  ...Object.entries(ARROWS).map(([workspace, allowed]) => arrowsOf(workspace, allowed)),
  {
    files: ['streams/src/kafka/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': ['error', { patterns: ['@candlewick/*', '@candlewick/*/**'] }],
    },
  },
  {
    files: ['processor/src/main.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [KAFKAJS, { group: ['@candlewick/producer/**', '@candlewick/query-api/**', '@candlewick/dev/**'] }],
        },
      ],
    },
  },
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
  { files: ['dev/src/**/*.ts', '**/*.mjs', '**/*main.ts'], rules: { 'no-console': 'off' } },
  prettier,
)
