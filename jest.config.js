'use strict';

// Tests have a copy of the environment, which native libraries do not see, so TensorFlow's settings are made here.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
// Two files of tests run at once.
process.env.CRANE_WASM_THREADS ??= '1';

/** Types are checked once by `npm run typecheck`; tests only transpile. */
module.exports = {
  testEnvironment: '<rootDir>/tests/environment.js',
  roots: ['<rootDir>/tests'],
  testMatch: ['**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { diagnostics: false }] },
  moduleNameMapper: { '^fast-check$': '<rootDir>/tests/seeded-fast-check.js' },
  // Ends what hangs, and nothing else: a machine that is busy with other work may be twenty times as slow.
  testTimeout: 600_000,
  maxWorkers: 2,
  collectCoverageFrom: ['lib/**/*.ts'],
  // Holds for `npm test -- --coverage` only.
  coverageThreshold: { './lib/': { lines: 85 } },
};
