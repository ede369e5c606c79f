import { setImmediate } from 'node:timers/promises';
import { PeakMemory } from '../../eval/benchmark/peak-memory';
import { PixelMetrics } from '../../eval/metrics/pixel-metrics';
import { formatBytes } from '../../terminal/table';
import { drawMap, type MaskKind } from './drawn-maps';
import { median, secondsOf, steps, tableOf, type BenchOptions, type BenchPart } from './part';

const SIDE = 518;
const CATEGORY_MAPS = 100;
/** As MVTec-AD. */
const CATEGORIES = 15;

/** `crane bench --metrics`: the pixel metrics of one category, and of a whole set whose maps are seen once. */
export const metricsBench: BenchPart = async (options) => {
  const before = process.memoryUsage.rss();
  const ellipses = await measureCategory('ellipses', before, options);
  const specks = await measureCategory('specks', before, options);
  const wholeSet = options.maps > 0 ? await measureWholeSet(before, options) : null;

  const both = [ellipses, specks] as const;
  const timed = (what: string, name: keyof typeof ellipses.seconds): string[] => [
    what,
    ...both.map(({ seconds }) => seconds[name].toFixed(2)),
  ];
  const sizes = (...all: readonly Omit<typeof ellipses, 'seconds'>[]): string[][] => [
    ['pixels', ...all.map(({ pixels }) => millions(pixels))],
    ['anomalous pixels', ...all.map(({ anomalousPixels }) => millions(anomalousPixels))],
    ['memory growth', ...all.map(({ peakGrowthBytes }) => formatBytes(peakGrowthBytes))],
  ];
  const rows = [
    timed('collecting: regions, buckets', 'collect'),
    timed('all five metrics in one run', 'allMetrics'),
    timed('three curves', 'curves'),
    ...sizes(...both),
  ];
  const wholeRows = wholeSet && [
    null,
    [`${wholeSet.maps} maps, each seen once: collecting`, wholeSet.collectSeconds.toFixed(2)],
    [`all metrics of ${wholeSet.categories} categories`, wholeSet.categoriesSeconds.toFixed(2)],
    ['all metrics of all pixels together', wholeSet.togetherSeconds.toFixed(2)],
    ...sizes(wholeSet),
  ];
  const title = `Pixel metrics of ${CATEGORY_MAPS} maps of ${SIDE} x ${SIDE}, seconds, median of ${options.runs}; masks of ellipses, and of specks (many tiny regions)`;
  return {
    text: `${title}\n\n${tableOf(['what', 'ellipses', 'specks'], [...rows, ...(wholeRows ?? [])])}`,
    figures: { side: SIDE, categoryMaps: CATEGORY_MAPS, ellipses, specks, wholeSet },
  };
};

function millions(pixels: number): string {
  return `${(pixels / 1e6).toFixed(1)} M`;
}

async function measureCategory(kind: MaskKind, memoryBefore: number, options: BenchOptions) {
  const all: Record<'collect' | 'allMetrics' | 'curves', number>[] = [];
  const memory = new PeakMemory();
  let [pixels, anomalousPixels] = [0, 0];
  // The first run is warm-up.
  for await (const run of steps(`metrics of ${CATEGORY_MAPS} maps, ${kind}`, options.runs + 1, options)) {
    const metrics = new PixelMetrics();
    let collect = 0;
    for (let index = 0; index < CATEGORY_MAPS; index++) {
      const { map, mask } = drawMap(`${kind} ${index}`, SIDE, kind);
      collect += secondsOf(() => metrics.add(map, mask, SIDE, SIDE));
      await setImmediate();
      options.signal.throwIfAborted();
    }
    const { normals, anomalous } = metrics.ranking();
    [pixels, anomalousPixels] = [normals + anomalous, anomalous];
    const allMetrics = secondsOf(() => metrics.value());
    const curves = secondsOf(() => [metrics.rocCurve(), metrics.precisionRecallCurve(), metrics.proCurve()]);
    if (run > 0) all.push({ collect, allMetrics, curves });
  }
  const medianOf = (name: 'collect' | 'allMetrics' | 'curves'): number => median(all.map((of) => of[name]));
  const seconds = { collect: medianOf('collect'), allMetrics: medianOf('allMetrics'), curves: medianOf('curves') };
  return { pixels, anomalousPixels, seconds, peakGrowthBytes: Math.max(0, memory.bytes - memoryBefore) };
}

/** Every map is drawn, counted in its category and in the whole set, and let go. */
async function measureWholeSet(memoryBefore: number, options: BenchOptions) {
  const { maps } = options;
  const whole = new PixelMetrics();
  const memory = new PeakMemory();
  const perCategory = Math.ceil(maps / CATEGORIES);
  let [collectSeconds, categoriesSeconds] = [0, 0];
  let category = new PixelMetrics();
  for await (const index of steps(`metrics of ${maps} maps together`, maps, options, 'images')) {
    const { map, mask } = drawMap(`whole ${index}`, SIDE, 'ellipses');
    collectSeconds += secondsOf(() => category.add(map, mask, SIDE, SIDE));
    if ((index + 1) % perCategory !== 0 && index + 1 < maps) continue;
    categoriesSeconds += secondsOf(() => category.value());
    collectSeconds += secondsOf(() => whole.include(category));
    category = new PixelMetrics();
  }
  const togetherSeconds = secondsOf(() => whole.value());
  const { normals, anomalous } = whole.ranking();
  return {
    maps,
    categories: Math.ceil(maps / perCategory),
    pixels: normals + anomalous,
    anomalousPixels: anomalous,
    collectSeconds,
    /** All metrics of all categories, one by one. */
    categoriesSeconds,
    /** All metrics of all pixels together. */
    togetherSeconds,
    peakGrowthBytes: Math.max(0, memory.bytes - memoryBefore),
  };
}
