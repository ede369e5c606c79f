import * as fs from 'node:fs';
import * as path from 'node:path';

interface Archive {
  readonly files: readonly string[];
  readonly bytes: number;
}
const { faultsOf } = require('../../tools/release') as {
  faultsOf: (archive: Archive, manifest: object, changelog: string) => string[];
};

const manifest = JSON.parse(fs.readFileSync(path.resolve(__dirname, '../../package.json'), 'utf8')) as {
  readonly version: string;
};
const changelog = fs.readFileSync(path.resolve(__dirname, '../../CHANGELOG.md'), 'utf8');
const whole = [
  ...['index', 'layers'].flatMap((door) => ['js', 'mjs', 'd.ts', 'd.mts'].map((suffix) => `dist/${door}.${suffix}`)),
  'dist/cli/crane.js',
  'bin/crane.js',
  'setup/setup.js',
  'checkpoints/nano.safetensors',
  'package.json',
  'LICENSE',
  'NOTICE.md',
];

const faults = (change: (files: string[]) => string[], bytes = 4e6): string[] =>
  faultsOf({ files: change([...whole]), bytes }, manifest, changelog);

test('a whole package has no faults', () => expect(faults((files) => files)).toEqual([]));

test.each([
  ['unbuilt', (files: string[]) => files.filter((file) => !file.startsWith('dist/')), 'dist/index.js is missing'],
  [
    'without a door',
    (files: string[]) => files.filter((file) => file !== 'dist/layers.d.mts'),
    'dist/layers.d.mts is missing',
  ],
  ['with a source', (files: string[]) => [...files, 'dist/lib/crane.ts'], 'dist/lib/crane.ts is a source or a test'],
  ['with a test', (files: string[]) => [...files, 'tests/crane.js'], 'tests/crane.js does not belong into the package'],
  [
    'without the model',
    (files: string[]) => files.filter((file) => !file.startsWith('check')),
    'checkpoints/nano.safetensors is missing',
  ],
])('a package %s is refused', (_, change, fault) => expect(faults(change)).toContain(fault));

test('a package that is too large, or whose version has no entry in the changelog, is refused', () => {
  expect(faults((files) => files, 9e6)).toEqual(['it has 9000000 bytes, 6000000 are allowed']);
  expect(faultsOf({ files: whole, bytes: 1 }, { ...manifest, version: '9.9.9' }, changelog)).toEqual([
    'CHANGELOG.md says nothing of 9.9.9',
  ]);
});
