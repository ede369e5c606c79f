import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { openDataset } from '../../datasets/dataset';
import { completeModelOptions } from '../../lib/config';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { completeTrainingOptions } from '../../train/options';
import { defaultRunFolder, hashOfFiles, promptMetadata, runHash, type RunRecord } from '../../train/run-record';
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
    ['other model options', { options: { ...options, attention: 'vv' } }],
    ['another way of reading pictures', { preprocessing: { ...CLIP_PREPROCESSING, reference: true } }],
    ['another precision', { precision: 'float16' }],
    ['another learning rate', { training: { ...record.training, learningRate: 0.01 } }],
  ];
  test.each(others)('by %s', (_, change) => {
    expect(runHash({ ...record, ...change })).not.toBe(runHash(record));
  });

  test('not by what does not change its prompts', () => {
    expect(runHash({ ...record, commandLine: 'crane', versions: {}, backbone: { name: 'renamed', sha256: 'beef' } })).toBe(runHash(record));
  });
});

test('the default folder carries set, seed and hash, and no character that a file system minds', () => {
  expect(path.relative(process.cwd(), defaultRunFolder(record))).toBe(path.join('checkpoints', 'runs', `my_set-111-${runHash(record)}`));
});

test('metadata restores the options exactly', () => {
  const metadata = promptMetadata(record, 3);
  expect(JSON.parse(metadata['crane.options'] as string)).toEqual(options);
  expect(JSON.parse(metadata['crane.training'] as string)).toEqual(record.training);
  expect(metadata).toMatchObject({ 'crane.auxiliary': 'my set', 'crane.auxiliary.categories': 'plate,cap', 'crane.epoch': '3' });
  expect(metadata).not.toHaveProperty('crane.start');
});

test('the hash of files knows names, labels and sizes, and not where the set lies', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-hash-'));
  const hashOf = async (root: string): Promise<string> => {
    const dataset = await openDataset(root);
    return hashOfFiles([dataset], dataset.categories.flatMap(({ samples }) => samples));
  };
  const [here, there] = await Promise.all(['here', 'there'].map((name) => writeSmallSet(path.join(folder, name, 'plates')))) as [string, string];
  const hash = await hashOf(here);
  expect(await hashOf(there)).toBe(hash);
  fs.appendFileSync(path.join(there, 'plate/test/good/000.png'), 'x');
  expect(await hashOf(there)).not.toBe(hash);
  fs.renameSync(path.join(here, 'plate/test/good/000.png'), path.join(here, 'plate/test/good/zero.png'));
  expect(await hashOf(here)).not.toBe(hash);
  fs.rmSync(folder, { recursive: true });
});
