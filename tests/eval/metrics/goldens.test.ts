import * as fs from 'node:fs';
import { ImageMetrics } from '../../../eval/metrics/image-metrics';
import { PixelMetrics } from '../../../eval/metrics/pixel-metrics';
import { describeWithGoldens, golden, goldenCases, goldenPath } from '../../goldens';
import { authorsAupro, type SlowMap } from './slow-metrics';

type Figure = number | string | { readonly error: string };

interface PixelRow {
  readonly id: string;
  readonly masks: string;
  readonly maps: string;
  readonly as_evaluated: Readonly<Record<'auroc' | 'ap' | 'f1' | 'aupro', Figure>>;
  readonly calculate_au_pro: Figure;
  readonly 'calculate_au_pro_limit_0.05': Figure;
  readonly sklearn_float64: Readonly<Record<'auroc' | 'ap' | 'f1', Figure>>;
}

interface ImageRow {
  readonly id: string;
  readonly labels: number[];
  readonly scores: number[];
  readonly functions_alone: Readonly<Record<'auroc' | 'ap' | 'f1', Figure>>;
}

/** Asked for: within 1e-9 of the figures in float64. */
const EXACT = 1e-9;

function mapsOf(mapReference: string, maskReference: string): SlowMap[] {
  const maps = golden(mapReference);
  const masks = golden(maskReference);
  const [count, height, width] = maps.shape as [number, number, number];
  return Array.from({ length: count }, (_, at) => ({
    width,
    height,
    scores: [...maps.data.slice(at * width * height, (at + 1) * width * height)],
    mask: [...masks.data.slice(at * width * height, (at + 1) * width * height)],
  }));
}

function pixelMetrics(maps: readonly SlowMap[]): PixelMetrics {
  const metrics = new PixelMetrics();
  for (const { scores, mask, width, height } of maps) {
    metrics.add(Float32Array.from(scores), Uint8Array.from(mask), width, height);
  }
  return metrics;
}

function expectWithin(got: number | null | undefined, want: Figure, tolerance: number): void {
  if (typeof want !== 'number') throw new Error(`the golden figure is ${JSON.stringify(want)}`);
  expect(typeof got).toBe('number');
  expect(Math.abs((got as number) - want)).toBeLessThanOrEqual(tolerance);
}

describeWithGoldens('metrics against the reference', () => {
  const text = fs.readFileSync(goldenPath('metrics.json'), 'utf8');
  const { rows } = JSON.parse(text) as { rows: (PixelRow | ImageRow)[] };
  const pixelRows = rows.filter((row): row is PixelRow => row.id.startsWith('pixel/'));
  const imageRows = rows.filter((row): row is ImageRow => row.id.startsWith('image/'));
  const oneClass = ['pixel/no_anomaly', 'pixel/all_anomalous', 'image/only_normal', 'image/only_anomalous'];
  const named = <Row extends { id: string }>(list: Row[]) => list.map((row) => [row.id, row] as const);

  test.each(named(pixelRows.filter((row) => !oneClass.includes(row.id))))('%s', (_, row) => {
    const maps = mapsOf(row.maps, row.masks);
    const metrics = pixelMetrics(maps);
    const values = metrics.value();
    expectWithin(values['pixel/auroc'], row.sklearn_float64.auroc, EXACT);
    expectWithin(values['pixel/ap'], row.sklearn_float64.ap, EXACT);
    expectWithin(values['pixel/f1max'], row.sklearn_float64.f1, EXACT);
    if (typeof row.as_evaluated.aupro === 'number') {
      expectWithin(values['pixel/aupro/paper200@0.3'], row.as_evaluated.aupro, EXACT);
    } else {
      // The reference gives NaN or stops; a value that is not defined is null here, with its reason.
      expect(values['pixel/aupro/paper200@0.3']).toBeNull();
      expect(metrics.reasons()['pixel/aupro/paper200@0.3']).toMatch(/same score|do not span a range/);
    }
  });

  const oneClassPixelRows = named(pixelRows.filter((row) => oneClass.includes(row.id)));
  test.each(oneClassPixelRows)('%s: null, where the reference says 0', (_, row) => {
    expect(row.as_evaluated.auroc).toBe(0);
    expect(Object.values(pixelMetrics(mapsOf(row.maps, row.masks)).value())).toEqual([null, null, null, null, null]);
  });

  // The reference passes scores outside 0..1 through a sigmoid, which makes large ones equal.
  test('scores of any size are told apart', () => {
    const row = pixelRows.find(({ id }) => id === 'pixel/large_logits');
    if (!row) throw new Error('row missing');
    const values = pixelMetrics(mapsOf(row.maps, row.masks)).value();
    expectWithin(values['pixel/auroc'], row.sklearn_float64.auroc, EXACT);
    expect(Math.abs((values['pixel/auroc'] as number) - (row.as_evaluated.auroc as number))).toBeGreaterThan(0.1);
  });

  // Regions and integration of the slow AUPRO are proven on the authors' figures; it then proves the exact one.
  const rowsWithAupro = pixelRows.filter((row) => !oneClass.includes(row.id) && row.id !== 'pixel/constant');
  test.each(named(rowsWithAupro))('exact AUPRO of %s', (_, row) => {
    const maps = mapsOf(row.maps, row.masks);
    expectWithin(authorsAupro(maps, 0.3, 200), row.calculate_au_pro, EXACT);
    expectWithin(authorsAupro(maps, 0.05, 150), row['calculate_au_pro_limit_0.05'], EXACT);
    const hasTies = new Set(maps.flatMap((map) => map.scores)).size < 5000;
    // Their 200 thresholds take tied scores apart, so only continuous maps must come close.
    if (!hasTies) expectWithin(pixelMetrics(maps).value()['pixel/aupro/exact@0.3'], row.calculate_au_pro, 0.005);
  });

  test.each(named(imageRows.filter((row) => !oneClass.includes(row.id))))('%s', (_, row) => {
    const values = imageMetrics(row.scores, row.labels).value();
    expectWithin(values['image/auroc'], row.functions_alone.auroc, EXACT);
    expectWithin(values['image/ap'], row.functions_alone.ap, EXACT);
    expectWithin(values['image/f1max'], row.functions_alone.f1, EXACT);
  });

  const oneClassImageRows = named(imageRows.filter((row) => oneClass.includes(row.id)));
  test.each(oneClassImageRows)('%s: null, where the reference says 0', (_, row) => {
    expect(Object.values(imageMetrics(row.scores, row.labels).value())).toEqual([null, null, null]);
  });
});

describeWithGoldens('metrics of whole evaluations by the reference', () => {
  interface Expected {
    readonly objects: string;
    readonly pixel_auroc: number;
    readonly pixel_aupro: number;
    readonly pixel_f1: number;
    readonly image_auroc: number;
    readonly image_ap: number;
    readonly image_f1: number;
  }
  /** Images of the two classes in the order of meta.json. */
  const imagesOf: Readonly<Record<string, readonly [number, number]>> = { weave: [0, 6], button: [6, 10] };

  test.each(goldenCases('e2e').map((item) => [item.id, item] as const))('%s', (_, item) => {
    const scores = golden(item.outputs['scores'] as string).data;
    const maps = mapsOf(item.outputs['maps_sigma4'] as string, item.outputs['masks'] as string);
    const expected = item.outputs['metrics'] as unknown as Expected[];
    expect(expected.map((row) => row.objects)).toEqual(Object.keys(imagesOf));
    for (const row of expected) {
      const [from, to] = imagesOf[row.objects] as [number, number];
      const own = maps.slice(from, to);
      const pixel = pixelMetrics(own).value();
      expectWithin(pixel['pixel/auroc'], row.pixel_auroc, 1e-6); // theirs in float32
      expectWithin(pixel['pixel/f1max'], row.pixel_f1, EXACT);
      expectWithin(pixel['pixel/aupro/paper200@0.3'], row.pixel_aupro, EXACT);
      const isAnomalous = own.map((map) => (map.mask.some((value) => value !== 0) ? 1 : 0));
      const image = imageMetrics([...scores.slice(from, to)], isAnomalous).value();
      expectWithin(image['image/auroc'], row.image_auroc, EXACT);
      expectWithin(image['image/ap'], row.image_ap, EXACT);
      expectWithin(image['image/f1max'], row.image_f1, EXACT);
    }
  });
});

function imageMetrics(scores: readonly number[], labels: readonly number[]): ImageMetrics {
  const metrics = new ImageMetrics();
  scores.forEach((score, at) => metrics.add(score, labels[at] === 1));
  return metrics;
}
