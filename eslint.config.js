import eslint from '@eslint/js';
import prettier from 'eslint-config-prettier';
import globals from 'globals';
import tseslint from 'typescript-eslint';

/**
 * Import directions (docs/adr/0001): each room of the house names the rooms it may import.
 * tsc project references do not enforce this for type-only or transitive imports; this does.
 */
const mayImport = {
  'packages/contracts': [],
  'packages/runtime': ['contracts'],
  'packages/redis-server': ['contracts', 'runtime'],
  'packages/queue': ['contracts', 'runtime'],
  'packages/accounts': ['contracts', 'runtime'],
  'packages/events': ['contracts', 'runtime'],
  'packages/webhooks': ['contracts', 'runtime'],
  'packages/storage': ['contracts', 'runtime'],
  'packages/graph': ['contracts'],
  'packages/pictures': ['contracts'],
  'packages/slots': ['contracts', 'runtime'],
  'packages/routing': ['contracts', 'runtime', 'graph', 'slots'],
  'packages/nodes': ['contracts', 'runtime', 'graph', 'pictures', 'routing'],
  'packages/upstream-http': ['contracts', 'runtime', 'routing'],
  'packages/comfyui': [
    'contracts',
    'runtime',
    'graph',
    'pictures',
    'routing',
    'slots',
    'upstream-http',
  ],
  'packages/image-services': [
    'contracts',
    'runtime',
    'graph',
    'pictures',
    'nodes',
    'routing',
    'upstream-http',
  ],
  'packages/testkit': ['contracts', 'runtime', 'redis-server'],
  'apps/api': [
    'contracts',
    'runtime',
    'accounts',
    'queue',
    'events',
    'webhooks',
    'storage',
    'graph',
    'pictures',
  ],
  'apps/worker': [
    'contracts',
    'runtime',
    'accounts',
    'queue',
    'events',
    'webhooks',
    'storage',
    'graph',
    'pictures',
    'nodes',
    'routing',
    'comfyui',
    'image-services',
  ],
  'apps/launcher': ['contracts', 'runtime', 'redis-server'],
  'apps/keys': ['contracts', 'runtime', 'redis-server', 'accounts'],
};
/** Rooms that do no network I/O. */
const offline = ['packages/contracts', 'packages/graph', 'packages/pictures', 'packages/nodes'];
const rooms = Object.keys(mayImport).map((path) => path.split('/')[1]);

const directions = Object.entries(mayImport).map(([path, allowed]) => {
  // A room that imported itself by its name would go in a circle through its door.
  const forbidden = rooms.filter((room) => !allowed.includes(room));
  const bullmq = ['packages/queue', 'packages/webhooks'].includes(path) ? [] : ['bullmq'];
  const network = offline.includes(path)
    ? ['ioredis', 'undici', 'node:http', 'node:https', 'node:net']
    : [];
  // Whoever decodes goes through the one policy of what a stranger's file may do (docs/adr/0016).
  const sharp = path === 'packages/pictures' ? [] : ['sharp'];
  return {
    files: [`${path}/src/**/*.ts`],
    ignores: ['**/*.test.ts', '**/*.test-helpers.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [...bullmq, ...network, ...sharp].map((name) => ({
            name,
            message: `${path} may not import ${name}`,
          })),
          patterns: [
            {
              group: forbidden.flatMap((room) => [`@tiercel/${room}`, `@tiercel/${room}/**`]),
              message: `${path} may import only: ${allowed.join(', ') || 'nothing of the house'}`,
            },
            {
              group: ['@tiercel/*/**'],
              message: 'Import a package by its name, never by a path inside it.',
            },
            { group: ['../../*/src/**'], message: 'Import a package by its name.' },
          ],
        },
      ],
    },
  };
});

export default tseslint.config(
  { ignores: ['**/dist/', 'node_modules/', 'data/', '**/fixtures/', 'coverage/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-console': 'error',
    },
  },
  {
    files: ['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts'],
    ignores: ['**/*.test.ts', 'packages/runtime/src/config/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'Only packages/runtime/src/config reads the environment.',
        },
      ],
    },
  },
  {
    files: ['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts'],
    ignores: [
      '**/*.test.ts',
      '**/*.test-*.ts',
      'packages/testkit/**',
      'packages/runtime/src/timers.ts',
    ],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            'CallExpression[callee.object.name="AbortSignal"][callee.property.name="timeout"][arguments.0.type!="Literal"][arguments.0.name!=/^[A-Z][A-Z_]*$/]',
          message:
            'A delay over 2^31 ms fires at once: only constants go to AbortSignal.timeout, all else to startTimer of packages/runtime.',
        },
        {
          selector:
            'CallExpression[callee.name=/^set(Timeout|Interval)$/][arguments.1.type!="Literal"][arguments.1.name!=/^[A-Z][A-Z_]*$/]',
          message:
            'A delay over 2^31 ms fires at once: only constants go to the platform, all else to startTimer, startInterval or sleep of packages/runtime.',
        },
      ],
    },
  },
  ...directions,
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: { globals: globals.node },
  },
  {
    files: ['**/*.test.ts', 'tests/**/*.ts', 'bench/**/*.ts', 'packages/testkit/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
    },
  },
  prettier,
);
