'use strict';
const tseslint = require('typescript-eslint');
const { oneDirection } = require('./eslint.rooms');

const NODE_GLOBALS = [
  'require',
  'module',
  'exports',
  'process',
  'console',
  '__dirname',
  '__filename',
  'Buffer',
  'URL',
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'fetch',
];

/** Rules for every file: what is a mistake, not what is taste. */
const mistakes = {
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'no-constant-condition': 'error',
  'no-control-regex': 'error',
  'no-debugger': 'error',
  'no-dupe-keys': 'error',
  'no-fallthrough': 'error',
  'no-self-compare': 'error',
  'no-unreachable': 'error',
  'no-var': 'error',
  'prefer-const': 'error',
};

module.exports = tseslint.config(
  {
    ignores: [
      'node_modules/',
      'dist/',
      'dist.*.tmp/',
      'coverage/',
      'docs/api/',
      '.native/',
      '.cache/',
      'results/',
      'release/',
      'datasets/data/',
      'checkpoints/runs/',
    ],
  },
  {
    files: ['**/*.js'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: Object.fromEntries(NODE_GLOBALS.map((name) => [name, 'readonly'])),
    },
    rules: { ...mistakes, 'no-undef': 'error', 'no-unused-vars': ['error', { argsIgnorePattern: '^_' }] },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: __dirname } },
    rules: {
      ...mistakes,
      '@typescript-eslint/ban-ts-comment': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // Only CommonJS can load what may not be there; its result is `unknown` until it is looked at.
      '@typescript-eslint/no-require-imports': 'off',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    // The library says nothing, ends no process and takes no command line.
    files: ['lib/**/*.ts'],
    rules: {
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'Throw an error; the commands set the exit code.' },
      ],
      'no-restricted-imports': ['error', { paths: ['yargs'] }],
    },
  },
  oneDirection,
);
