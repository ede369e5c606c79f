import * as path from 'node:path';
import { openDataset } from '../../../datasets/dataset';
import { readScoreList } from '../../../eval/metrics/score-list';
import { jsonOf, mutateJson, textOf } from '../mutate/json';
import { pngChunks, writePng } from '../mutate/pictures';
import { mutateTable } from '../mutate/table';
import type { Files, Target } from '../target';

const picture = writePng(pngChunks(0, 8));
const pictures = (...names: readonly string[]): Files => Object.fromEntries(names.map((name) => [`set/${name}`, picture]));

/** A folder in a folder, since lists may name paths above their own. */
async function openSet(folder: string): Promise<void> {
  await openDataset(path.join(folder, 'set'), { allowIncomplete: true });
}

const metaFiles = pictures('a/good/1.png', 'a/bad/2.png', 'a/masks/2.png', 'b/3.png');
const item = (img_path: string, cls_name: string, anomaly: number, mask_path: string | null = null): unknown => ({ img_path, mask_path, cls_name, specie_name: anomaly === 1 ? 'bad' : 'good', anomaly });
const meta = jsonOf({ train: { a: [] }, test: { a: [item('a/good/1.png', 'a', 0), item('a/bad/2.png', 'a', 1, 'a/masks/2.png')], b: [item('b/3.png', 'b', 0, '')] } });
const metaWords = ['test', 'train', 'img_path', 'mask_path', 'cls_name', 'specie_name', 'anomaly', 'good', 'bad', 'a', 'b', 'a/good/1.png', 'a/bad/2.png', 'a/masks/2.png', 'set/b/3.png', '../set/b/3.png', 'a', '.', 'meta.json'];

const listFiles = pictures('1.png', '2.png', 'm/2.png', 'm/2b.png');
const list = [['path', 'label', 'mask', 'category', 'defect', 'split'], ['1.png', '0', '', 'a', '', 'test'], ['2.png', '1', 'm/2.png;m/2b.png', 'a', 'scratch', 'test'], ['1.png', 'normal', '', 'b', '', 'train']];
const listWords = ['path', 'image', 'label', 'mask', 'category', 'defect', 'split', 'test', 'train', '1.png', '2.png', 'm/2.png', 'm', '0', '1', 'ok', 'ng', '0.0', '1.0', '-1', 'good', 'bad', '.', '..', '/', '/dev/null', 'm/2.png|m/2.png'];
const text = (rows: readonly (readonly string[])[]): Buffer => Buffer.from(rows.map((row) => row.join()).join('\n'));

const scores = [['name', 'score', 'label'], ['a/1', '0.5', '0'], ['a/2.png', '0.9', '1'], ['b/3', '-1e3', 'anomaly']];
const scoreWords = ['name', 'score', 'label', 'a/1', 'b/3', '0', '1', '0.5', 'NaN', 'Infinity', '1e999', '-0', '0x10', 'good', 'anomalous', 'ok', 'ng', '1.0', '  1', '1,5', '9'.repeat(400)];

export const datasetTargets: readonly Target[] = [
  {
    name: 'meta-json', group: 'datasets',
    seeds: [{ ...metaFiles, 'set/meta.json': Buffer.from(textOf(meta)) }],
    mutate: (random) => ({ ...metaFiles, 'set/meta.json': mutateJson(random, meta, metaWords) }),
    read: openSet,
  },
  {
    name: 'csv-list', group: 'datasets',
    seeds: [{ ...listFiles, 'set/list.csv': text(list) }],
    mutate: (random) => ({ ...listFiles, 'set/list.csv': mutateTable(random, list, listWords) }),
    read: openSet,
  },
  {
    name: 'score-list', group: 'datasets',
    seeds: [{ 'scores.csv': text(scores) }],
    mutate: (random) => ({ 'scores.csv': mutateTable(random, scores, scoreWords) }),
    read: (folder) => {
      readScoreList(path.join(folder, 'scores.csv'));
    },
  },
];
