import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Evaluation } from '../../eval/evaluation';
import { METRIC_IDS, type MetricValues } from '../../eval/metrics/metric-ids';
import { resultsOf, writeResults } from '../../eval/results';
import type { ModelDescription } from '../../lib/crane';
import { CraneError } from '../../lib/errors';
import { packageVersion } from '../../lib/files/version';

const values = (image: number, pixel: number | null): MetricValues =>
  Object.fromEntries(METRIC_IDS.map((id) => [id, id.startsWith('image/') ? image : pixel])) as MetricValues;
const model = { method: 'crane', backbone: 'nano' } as unknown as ModelDescription;

function evaluation(over: Partial<Evaluation> = {}): Evaluation {
  const category = (
    name: string,
    images: number,
    anomalous: number,
    metrics: MetricValues,
  ): Evaluation['categories'][number] => ({
    name,
    images,
    anomalous,
    metrics,
    reasons: {},
    scores: [],
    bestThreshold: null,
    detectionSeconds: 1,
    curves: { imageRoc: null, pixelRoc: null, pixelPrecisionRecall: null, pixelPro: null },
  });
  return {
    dataset: 'parts',
    root: '/parts',
    groups: [],
    failures: [],
    seconds: 2.5,
    categories: [category('bolt', 10, 4, values(0.5, null)), category('nut | washer', 6, 3, values(1, null))],
    mean: values(0.75, null),
    ...over,
  };
}

describe('results.json', () => {
  test('has what programs read, and nothing of the curves', () => {
    const results = resultsOf([evaluation(), evaluation({ dataset: 'more', seconds: 1 })], model, 'crane eval');
    expect(results).toEqual({
      schemaVersion: 1,
      datasets: ['parts', 'more'].map((name) => ({
        name,
        categories: [
          { name: 'bolt', images: 10, anomalous: 4, metrics: values(0.5, null) },
          { name: 'nut | washer', images: 6, anomalous: 3, metrics: values(1, null) },
        ],
        mean: values(0.75, null),
      })),
      model,
      run: {
        version: packageVersion(),
        node: process.versions.node,
        command: 'crane eval',
        date: expect.any(String),
        seconds: 3.5,
      },
    });
    expect(new Date(results.run.date).toISOString()).toBe(results.run.date);
  });

  test('means as the reference takes them are marked', () => {
    expect(resultsOf([evaluation({ referenceMeans: true })], model, '').datasets[0]).toMatchObject({
      referenceMeans: true,
    });
  });

  test('groups and failures are there where there are any', () => {
    const failures = [{ path: 'x.png', message: 'x.png: gone' }];
    const groups = [{ name: 'kinds seen', categories: [], mean: values(1, 1) }];
    expect(resultsOf([evaluation({ failures, groups })], model, '').datasets[0]).toMatchObject({ failures, groups });
    expect(resultsOf([evaluation()], model, '').datasets[0]).not.toHaveProperty('failures');
  });

  test('is written whole, into folders that are made, replacing what was there, or the error says why not', () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-results-'));
    try {
      const results = resultsOf([evaluation()], model, 'crane eval');
      const file = path.join(folder, 'deep', 'results.json');
      fs.mkdirSync(path.dirname(file));
      fs.writeFileSync(file, 'old');
      writeResults(file, results);
      expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toEqual(results);
      expect(fs.readdirSync(path.dirname(file))).toEqual(['results.json']);
      expect(() => writeResults(path.join(file, 'results.json'), results)).toThrow(CraneError);
      fs.mkdirSync(path.join(folder, 'taken'));
      expect(() => writeResults(path.join(folder, 'taken'), results)).toThrow(
        /taken: the results cannot be written \(E\w+\)/,
      );
      expect(fs.readdirSync(folder).sort()).toEqual(['deep', 'taken']);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
});
