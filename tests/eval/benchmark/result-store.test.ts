import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { canonicalJson } from '../../../eval/benchmark/canonical-json';
import { ResultStore } from '../../../eval/benchmark/result-store';
import { CraneError } from '../../../lib/errors';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-store-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const key = { set: 'mvtec', category: 'bottle', options: { fusion: 'soft', layers: [6, 12] } };
const onlyFile = (): string => path.join(folder, fs.readdirSync(folder)[0] as string);

test('equal values have equal text, whatever the order of their keys; order in lists counts', () => {
  expect(canonicalJson({ b: [1, { d: 2, c: undefined, a: null }], a: 'x' })).toBe('{"a":"x","b":[1,{"a":null,"d":2}]}');
  expect(canonicalJson([2, 1])).not.toBe(canonicalJson([1, 2]));
});

test('a result is found again by a key of equal content, in another run too, and by no other', () => {
  const store = new ResultStore(folder);
  expect(store.read(key)).toBeUndefined();
  store.write(key, { score: 0.25 });
  expect(
    new ResultStore(folder).read({ options: { layers: [6, 12], fusion: 'soft' }, category: 'bottle', set: 'mvtec' }),
  ).toEqual({ score: 0.25 });
  for (const other of [
    { ...key, category: 'cable' },
    { ...key, options: { fusion: 'soft', layers: [12, 6] } },
    { ...key, seed: 1 },
    { set: 'mvtec' },
  ]) {
    expect(store.read(other)).toBeUndefined();
  }
  store.write({ ...key, category: 'cable' }, 2);
  expect([store.read(key), store.read({ ...key, category: 'cable' })]).toEqual([{ score: 0.25 }, 2]);
});

test('half a file, another thing, and a file under a wrong name count as nothing', () => {
  const store = new ResultStore(folder);
  store.write(key, { score: 0.25 });
  const [file, text] = [onlyFile(), fs.readFileSync(onlyFile(), 'utf8')];
  for (const damaged of [
    text.slice(0, text.length / 2),
    '',
    'null',
    '{"key":{},"value":1}',
    text.replace('bottle', 'cable'),
  ]) {
    fs.writeFileSync(file, damaged);
    expect(store.read(key)).toBeUndefined();
  }
  store.write(key, 3);
  expect(store.read(key)).toBe(3);
});

test('afresh, what was there is not seen until it is made anew', () => {
  new ResultStore(folder).write(key, 'old');
  const fresh = new ResultStore(folder, true);
  expect(fresh.read(key)).toBeUndefined();
  fresh.write(key, 'new');
  expect(fresh.read(key)).toBe('new');
  expect(new ResultStore(folder).read(key)).toBe('new');
});

test('thresholds of curves keep their infinities; other nulls and names stay as they are', () => {
  const store = new ResultStore(folder);
  const value = {
    curves: { roc: { x: [0, 1, 1], thresholds: [Infinity, 0.5, -Infinity] }, pro: null },
    metrics: { 'pixel/auroc': null },
    list: [null],
  };
  store.write(key, value);
  expect(store.read(key)).toEqual(value);
});

test('a folder that cannot be written is named', () => {
  fs.writeFileSync(path.join(folder, 'file'), '');
  expect(() => new ResultStore(path.join(folder, 'file')).write(key, 1)).toThrow(CraneError);
});
