import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { openDataset } from '../../datasets/dataset';
import { completeModelOptions, type ModelOptions } from '../../lib/methods/crane/options';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { completeTrainingOptions } from '../../train/options';
import {
  changedVersions,
  defaultRunFolder,
  differences,
  hashOfFiles,
  promptMetadata,
  runHash,
  type RunRecord,
} from '../../train/run-record';
import { smallSizes, writeSmallSet } from './tiny-files';

const options = completeModelOptions({}, smallSizes);
const record: RunRecord = {
  auxiliary: { name: 'my set', categories: ['plate', 'cap'], images: 11, anomalous: 6, validation: 0, files: 'f00d' },
  backbone: { name: 'small', sha256: 'beef' },
  spatial: null,
  start: null,
  options,
  preprocessing: CLIP_PREPROCESSING,
  precision: 'float32',
  training: completeTrainingOptions({}, options),
  versions: { crane: '1.2.3' },
  commandLine: 'crane train',
};

describe('a run is told apart', () => {
  const others: [string, Partial<RunRecord>][] = [
    ['another set of files', { auxiliary: { ...record.auxiliary, files: 'cafe' } }],
    ['another backbone', { backbone: { name: 'small', sha256: 'dead' } }],
    ['other starting prompts', { start: { name: 'prompts', sha256: '1234' } }],
    ['other model options', { options: { ...options, attention: 'vv' } as ModelOptions }],
    ['another way of reading pictures', { preprocessing: { ...CLIP_PREPROCESSING, reference: true } }],
    ['another precision', { precision: 'float16' }],
    ['another learning rate', { training: { ...record.training, learningRate: 0.01 } }],
  ];
  test.each(others)('by %s', (_, change) => {
    expect(runHash({ ...record, ...change })).not.toBe(runHash(record));
  });

  test('not by what does not change its prompts', () => {
    expect(
      runHash({ ...record, commandLine: 'crane', versions: {}, backbone: { name: 'renamed', sha256: 'beef' } }),
    ).toBe(runHash(record));
  });
});

describe('what differs from a run that was begun', () => {
  test('is nothing for the same run, wherever its files lie and whatever it is called', () => {
    expect(
      differences(record, {
        ...record,
        commandLine: 'crane',
        backbone: { name: 'renamed', sha256: 'beef' },
        versions: { crane: '2.0.0' },
      }),
    ).toEqual([]);
  });

  test.each<[string, Partial<RunRecord>]>([
    ['auxiliary set: "my set" then, "other" now', { auxiliary: { ...record.auxiliary, name: 'other' } }],
    ['categories: ["plate","cap"] then, ["plate"] now', { auxiliary: { ...record.auxiliary, categories: ['plate'] } }],
    [
      'files of the auxiliary set, by name, label or content: 11 images then, 12 images now',
      { auxiliary: { ...record.auxiliary, files: 'cafe', validation: 1 } },
    ],
    [
      'weights of the backbone: small (sha256 beef) then, other (sha256 dead) now',
      { backbone: { name: 'other', sha256: 'dead' } },
    ],
    [
      'weights of the spatial model: none then, dinov2 (sha256 1234) now',
      { spatial: { name: 'dinov2', sha256: '1234' } },
    ],
    ['prompts to start from: none then, p.pth (sha256 1234) now', { start: { name: 'p.pth', sha256: '1234' } }],
    ['sigma: 4 then, 2 now', { options: { ...options, sigma: 2 } as ModelOptions }],
    ['reference: false then, true now', { preprocessing: { ...CLIP_PREPROCESSING, reference: true } }],
    ['precision: "float32" then, "float16" now', { precision: 'float16' }],
    ['seed: 111 then, 7 now', { training: { ...record.training, seed: 7 } }],
    ['backend: not set then, "wasm" now', { versions: { ...record.versions, backend: 'wasm' } }],
  ])('is named: %s', (line, change) => {
    expect(differences(record, { ...record, ...change })).toEqual([line]);
  });

  test('versions are told apart from the rest', () => {
    expect(changedVersions(record, { ...record, versions: { crane: '2.0.0', tensorflow: '2.21.0' } })).toEqual([
      'crane 1.2.3 then, 2.0.0 now',
      'tensorflow absent then, 2.21.0 now',
    ]);
    expect(changedVersions(record, record)).toEqual([]);
  });
});

test('the default folder carries set, seed and hash, and no character that a file system minds', () => {
  expect(path.relative(process.cwd(), defaultRunFolder(record))).toBe(
    path.join('checkpoints', 'runs', `my_set-111-${runHash(record)}`),
  );
});

test('metadata restores the options exactly', () => {
  const metadata = promptMetadata(record, 3);
  expect(JSON.parse(metadata['crane.options'] as string)).toEqual(options);
  expect(JSON.parse(metadata['crane.training'] as string)).toEqual(record.training);
  expect(metadata).toMatchObject({
    'crane.auxiliary': 'my set',
    'crane.auxiliary.categories': 'plate,cap',
    'crane.epoch': '3',
  });
  expect(metadata).not.toHaveProperty('crane.start');
});

test('the hash of files knows names, labels and sizes, and not where the set lies', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-hash-'));
  const hashOf = async (root: string): Promise<string> => {
    const dataset = await openDataset(root);
    return hashOfFiles(
      [dataset],
      dataset.categories.flatMap(({ samples }) => samples),
    );
  };
  const [here, there] = (await Promise.all(
    ['here', 'there'].map((name) => writeSmallSet(path.join(folder, name, 'plates'))),
  )) as [string, string];
  const hash = await hashOf(here);
  expect(await hashOf(there)).toBe(hash);
  fs.appendFileSync(path.join(there, 'plate/test/good/000.png'), 'x');
  expect(await hashOf(there)).not.toBe(hash);
  fs.renameSync(path.join(here, 'plate/test/good/000.png'), path.join(here, 'plate/test/good/zero.png'));
  expect(await hashOf(here)).not.toBe(hash);
  fs.rmSync(folder, { recursive: true });
});
