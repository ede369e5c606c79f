/** Types are checked once by `npm run typecheck`; tests only transpile. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/tests'],
  testMatch: ['**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { isolatedModules: true, diagnostics: false }] },
  testTimeout: 60_000,
  maxWorkers: 2,
  collectCoverageFrom: ['lib/**/*.ts'],
};
