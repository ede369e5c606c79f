'use strict';
const fs = require('node:fs');
const path = require('node:path');
const boundaries = require('eslint-plugin-boundaries');

/** Every method has a room of its own. */
const METHODS = fs
  .readdirSync(path.join(__dirname, 'lib', 'methods'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => `lib/methods/${name}`);

/**
 * Who knows one method from another. All others ask the registry. The embedded network is pretrained for Crane, and what
 * `crane bench` takes apart is Crane.
 */
const KNOW_METHODS = ['tools', 'cli/bench', 'index', 'lib/methods'];

/** The rooms of the house, from the top down, with their files: a room may import what stands below it, and nothing above. */
const ROOMS = [
  ['tools', 'tools/**/*.ts'],
  ['cli', ['cli/*.ts', 'cli/!(bench)/**/*.ts']],
  ['cli/bench', 'cli/bench/**/*.ts'],
  // The public names. The command line knows the parts themselves.
  ['index', ['index.ts', 'layers.ts']],
  ['train', 'train/**/*.ts'],
  ['eval/report', 'eval/report/**/*.ts'],
  ['eval/benchmark', 'eval/benchmark/**/*.ts'],
  ['eval/gallery', 'eval/gallery/**/*.ts'],
  ['eval', 'eval/*.ts'],
  ['eval/metrics', 'eval/metrics/**/*.ts'],
  ['terminal', 'terminal/**/*.ts'],
  ['datasets', ['datasets/*.ts', 'datasets/archives/**/*.ts', 'datasets/layouts/**/*.ts']],
  ['datasets/synthetic', 'datasets/synthetic/**/*.ts'],
  ['lib', ['lib/crane.ts', 'lib/detection.ts', 'lib/anomaly-map.ts', 'lib/stream-memory.ts']],
  ['lib/methods', 'lib/methods/@(registry|open-model).ts'],
  ...METHODS.map((room) => [room, `${room}/**/*.ts`]),
  ['lib/methods/seam', 'lib/methods/!(registry|open-model).ts'],
  ['lib/scoring', 'lib/scoring/**/*.ts'],
  ['lib/prompts', 'lib/prompts/**/*.ts'],
  ['lib/weights', 'lib/weights/**/*.ts'],
  ['lib/encoders', 'lib/encoders/**/*.ts'],
  ['lib/layers', 'lib/layers/**/*.ts'],
  ['lib/image', 'lib/image/**/*.ts'],
  ['lib/backend', ['lib/backend.ts', 'lib/backend/**/*.ts']],
  ['lib/web', 'lib/web/**/*.ts'],
  ['lib/files', 'lib/files/**/*.ts'],
  [
    'lib/errors',
    [
      'lib/errors.ts',
      'lib/error-codes.ts',
      'lib/defined-options.ts',
      'lib/option-errors.ts',
      'lib/nearest-name.ts',
      'lib/bytes.ts',
      'lib/cancellation.ts',
      'lib/memory-budget.ts',
      'lib/progress.ts',
      'lib/stage.ts',
    ],
  ],
];

const names = ROOMS.map(([name]) => name);

/** What a room may import: itself and what stands below it, but for the rooms of methods. */
function below(name, floor) {
  return names.slice(floor).filter((room) => room === name || !METHODS.includes(room) || KNOW_METHODS.includes(name));
}

/** Imports go one way; a circle of files is found by `npm run circles`. */
exports.oneDirection = {
  files: ['index.ts', 'layers.ts', '{lib,datasets,terminal,eval,train,cli,tools}/**/*.ts'],
  plugins: { boundaries },
  settings: {
    'import/resolver': { node: { extensions: ['.ts', '.js'] } },
    'boundaries/files': ROOMS.map(([category, pattern]) => ({ category, pattern })),
  },
  rules: {
    'boundaries/no-unknown-files': 'error',
    'boundaries/dependencies': [
      'error',
      {
        default: 'disallow',
        message:
          '{{ from.file.categories }} may not import {{ to.file.categories }}: it stands above, or is a method of its own (eslint.rooms.js)',
        policies: names.map((name, floor) => ({
          from: { file: { categories: name } },
          allow: { to: { file: { categories: { anyOf: below(name, floor) } } } },
        })),
      },
    ],
  },
};
