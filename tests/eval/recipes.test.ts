import * as fs from 'node:fs';
import * as path from 'node:path';
import { registeredDatasets } from '../../datasets/registry';
import {
  isPaperSet,
  PAPER_SETS,
  PUBLISHED_AVERAGES,
  PUBLISHED_DOUBTS,
  PUBLISHED_METHODS,
  PUBLISHED_METRIC_IDS,
  PUBLISHED_RESULTS,
  publishedRow,
  type PublishedMetricId,
} from '../../eval/published';
import { publishedPromptsOf, RECIPE_NAMES, RECIPES, recipeNamed, recipeOptions, recipeRow } from '../../eval/recipes';
import { UsageError } from '../../lib/errors';
import { findRegisteredWeights } from '../../lib/weights/registry';

const paper = { blocks: 24, takesPublishedPrompts: true };

/** What the authors' scripts were read to say (`checkpoints_used`), set by set. */
const used = (sets: string, epoch: number, layers: number[], spatial: string, fusion: string): [string, object][] =>
  sets.split(' ').map((set) => [set, { epoch, layers, spatial, fusion }]);
const CRANE_USED = used(
  'mvtec visa mpdd btad sdd dagm dtd headct brainmri br35h isic cvc-colondb cvc-clinicdb tn3k',
  5,
  [6, 12, 18, 24],
  'none',
  'soft',
);
const PLUS_USED = [
  ...used('mvtec visa mpdd sdd btad dtd', 5, [24], 'dinov2', 'logit'),
  ...used('dagm', 5, [24], 'dinov2', 'soft'),
  ...used('headct brainmri br35h isic cvc-colondb cvc-clinicdb tn3k', 1, [24], 'dinov2', 'soft'),
];

describe('recipes', () => {
  test.each(CRANE_USED)('crane on %s as the authors ran it', (set, row) => {
    expect(recipeRow(RECIPES.crane, set)).toEqual({ ...row, auxiliary: set === 'mvtec' ? 'visa' : 'mvtec' });
  });

  test.each(PLUS_USED)('crane-plus on %s as the authors ran it', (set, row) => {
    expect(recipeRow(RECIPES['crane-plus'], set)).toEqual({ ...row, auxiliary: set === 'mvtec' ? 'visa' : 'mvtec' });
  });

  test('fourteen rows each, all of registered sets', () => {
    expect(PAPER_SETS).toHaveLength(14);
    const registered = registeredDatasets.filter(({ kind }) => kind !== 'drawn').map(({ name }) => name);
    expect([...PAPER_SETS].sort()).toEqual(registered.sort());
    for (const name of RECIPE_NAMES) expect(Object.keys(RECIPES[name].rows)).toEqual(PAPER_SETS);
  });

  test('the other script differs in fusion everywhere, and in the auxiliary set of DAGM', () => {
    const plus = RECIPES['crane-plus'];
    const other = RECIPES['crane-plus-reproduce'];
    expect(other.variantOf).toBe('crane-plus');
    for (const set of PAPER_SETS) {
      const auxiliary = set === 'mvtec' || set === 'dagm' ? 'visa' : 'mvtec';
      expect(recipeRow(other, set)).toEqual({ ...recipeRow(plus, set), fusion: 'soft', auxiliary });
    }
  });

  test.each(RECIPE_NAMES)(
    '%s never scores the set that its prompts were trained on, with prompts that are registered',
    (name) => {
      for (const set of [...PAPER_SETS, 'castings']) {
        const row = recipeRow(RECIPES[name], set);
        const entry = findRegisteredWeights(publishedPromptsOf(RECIPES[name], row));
        expect(entry).toMatchObject({ kind: 'prompts', trainedOn: row.auxiliary });
        expect(entry?.about).toMatch(
          new RegExp(`^Crane${row.spatial === 'none' ? ' ' : '\\+'}.*epoch ${row.epoch}\\b`),
        );
        expect(row.auxiliary).not.toBe(set);
      }
    },
  );

  test('options for the backbone of the paper', () => {
    expect(recipeOptions(RECIPES['crane-plus'], 'tn3k', paper)).toEqual({
      layers: [24],
      fusion: 'soft',
      prompts: 'crane-plus-mvtec@1',
      spatial: 'dinov2',
    });
    expect(recipeOptions(RECIPES['crane-plus'], 'mvtec', paper)).toEqual({
      layers: [24],
      fusion: 'logit',
      prompts: 'crane-plus-visa@5',
      spatial: 'dinov2',
    });
    expect(recipeOptions(RECIPES.crane, 'castings', paper)).toEqual({
      layers: [6, 12, 18, 24],
      fusion: 'soft',
      prompts: 'crane-mvtec@5',
      spatial: 'none',
    });
  });

  test('another backbone keeps fusion and depth, and brings prompts of its own', () => {
    expect(recipeOptions(RECIPES.crane, 'mvtec', { blocks: 8, takesPublishedPrompts: false })).toEqual({
      layers: [2, 4, 6, 8],
      fusion: 'soft',
      spatial: 'none',
    });
    expect(recipeOptions(RECIPES['crane-plus'], 'mvtec', { blocks: 8, takesPublishedPrompts: false })).toEqual({
      layers: [8],
      fusion: 'logit',
    });
    expect(recipeOptions(RECIPES.crane, 'visa', { blocks: 2, takesPublishedPrompts: false }).layers).toEqual([1, 2]);
    expect(recipeOptions(RECIPES.crane, 'visa', { blocks: 1, takesPublishedPrompts: false }).layers).toEqual([1]);
  });

  test('an unknown name says which there are', () => {
    expect(recipeNamed(' Crane-Plus ').name).toBe('crane-plus');
    expect(() => recipeNamed('crane+')).toThrow(UsageError);
    expect(() => recipeNamed('toString')).toThrow(/crane, crane-plus, crane-plus-reproduce/);
  });
});

describe('published figures', () => {
  test('a few as printed, in per cent', () => {
    expect(publishedRow('mvtec', 'Crane')).toEqual({
      'image/auroc': 93.8,
      'image/ap': 97.5,
      'image/f1max': 93.8,
      'pixel/auroc': 91.3,
      'pixel/aupro/paper200@0.3': 84.6,
      'pixel/f1max': 41.3,
    });
    expect(publishedRow('tn3k', 'Crane+')).toEqual({
      'image/auroc': null,
      'image/ap': null,
      'image/f1max': null,
      'pixel/auroc': 80.4,
      'pixel/aupro/paper200@0.3': 51.7,
      'pixel/f1max': 45.5,
    });
    expect(publishedRow('castings', 'Crane')).toBeUndefined();
    expect(isPaperSet('constructor')).toBe(false);
  });

  const industrial = PAPER_SETS.slice(0, 7);
  const averages = (['industrial', 'medical'] as const).flatMap((domain) =>
    PUBLISHED_METHODS.flatMap((method) => PUBLISHED_METRIC_IDS.map((metric) => [domain, method, metric] as const)),
  );

  test.each(averages)(
    'average of %s sets, %s, %s: the mean of its rows, or known not to be',
    (domain, method, metric) => {
      const of = PAPER_SETS.filter((set) => industrial.includes(set) === (domain === 'industrial'));
      const values = of
        .map((set) => PUBLISHED_RESULTS[set][method][metric as PublishedMetricId])
        .filter((value) => value !== null);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const printed = PUBLISHED_AVERAGES[domain][method][metric] as number;
      const doubt = PUBLISHED_DOUBTS.find(
        (item) => item.method === method && item.metric === metric && item.of === `average of ${domain}`,
      );
      if (doubt) {
        expect(doubt.printed).toBe(printed);
        expect(Math.abs(mean - (doubt.likely as number))).toBeLessThanOrEqual(0.05 + 1e-9);
      } else if (domain === 'industrial' && method === 'VAND' && metric === 'image/auroc') {
        // The doubt is about the row of DTD-Synthetic: with what another paper prints there, the average fits.
        expect(Math.abs(mean - printed)).toBeGreaterThan(1);
        expect(Math.abs(mean + (86.4 - 94.6) / 7 - printed)).toBeLessThanOrEqual(0.05);
      } else {
        expect(Math.abs(mean - printed)).toBeLessThanOrEqual(0.05 + 1e-9);
      }
    },
  );

  test('doubts quote what the table has', () => {
    for (const { of, method, metric, printed } of PUBLISHED_DOUBTS) {
      const row = isPaperSet(of)
        ? publishedRow(of, method)
        : PUBLISHED_AVERAGES[of.endsWith('medical') ? 'medical' : 'industrial'][method];
      expect(row?.[metric]).toBe(printed);
    }
  });

  const source = path.resolve(__dirname, '../../../shared/spec/published-results.json');
  (fs.existsSync(source) ? test : test.skip)(
    "every figure is that of the project's notes, and so is every recipe",
    () => {
      const notes = JSON.parse(fs.readFileSync(source, 'utf8')) as {
        results: {
          dataset: string;
          method: 'Crane';
          level: 'image' | 'pixel';
          auroc: number;
          ap?: number;
          aupro?: number;
          f1_max: number;
        }[];
        protocol: {
          checkpoints_used: {
            method: string;
            datasets: string;
            epoch: number;
            features_list: number[];
            vfm: string;
            soft_mean: boolean;
          }[];
        };
      };
      const named = (set: string): string => ({ 'mvtec-ad': 'mvtec', 'dtd-synthetic': 'dtd' })[set] ?? set;
      expect(notes.results).toHaveLength(7 * (10 + 11));
      for (const { dataset, method, level, auroc, ap, aupro, f1_max } of notes.results) {
        const row = publishedRow(named(dataset), method);
        const expected =
          level === 'image'
            ? { 'image/auroc': auroc, 'image/ap': ap, 'image/f1max': f1_max }
            : { 'pixel/auroc': auroc, 'pixel/aupro/paper200@0.3': aupro, 'pixel/f1max': f1_max };
        expect(row).toMatchObject(expected);
      }
      for (const { method, datasets, epoch, features_list: layers, vfm, soft_mean: soft } of notes.protocol
        .checkpoints_used) {
        const recipe = RECIPES[method === 'Crane' ? 'crane' : 'crane-plus'];
        for (const set of datasets === 'all 14' ? PAPER_SETS : datasets.split(' ').map(named)) {
          expect(recipeRow(recipe, set)).toMatchObject({
            epoch,
            layers,
            fusion: soft ? 'soft' : 'logit',
            spatial: vfm === 'none' ? 'none' : 'dinov2',
          });
        }
      }
    },
  );
});
