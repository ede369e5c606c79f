import { setImmediate } from 'node:timers/promises';
import { ExactAupro, PaperAupro } from '../../eval/metrics/aupro';
import { auroc } from '../../eval/metrics/auroc';
import { averagePrecision } from '../../eval/metrics/average-precision';
import { bestF1 } from '../../eval/metrics/f1-max';
import { PixelMetrics } from '../../eval/metrics/pixel-metrics';
import { sweep } from '../../eval/metrics/ranking';
import { formatBytes } from '../../terminal/table';
import { drawMap, type MaskKind } from './drawn-maps';
import { median, type BenchOptions, type BenchPart, type BenchReport } from './part';

const SIDE = 518;
const CATEGORY_MAPS = 100;
/** As MVTec-AD. */
const CATEGORIES = 15;
const LIMIT = 0.3;

/** `crane bench --metrics`: the pixel metrics of one category, and of a whole set whose maps are seen once. */
export const metricsBench: BenchPart = {
  run: async (options) => {
    const before = process.memoryUsage.rss();
    const ellipses = await measureCategory('ellipses', before, options);
    const specks = await measureCategory('specks', before, options);
    const wholeSet = options.maps > 0 ? await measureWholeSet(before, options) : undefined;
    return reportOf(ellipses, specks, wholeSet, options);
  },
};

interface CategorySeconds {
  /** Regions of the masks, and pixels into buckets. */
  readonly collect: number;
  readonly allMetrics: number;
  readonly auroc: number;
  readonly averagePrecision: number;
  readonly f1max: number;
  readonly auproPaper: number;
  readonly auproExact: number;
  readonly curves: number;
}

interface CategoryFigures {
  readonly pixels: number;
  readonly anomalousPixels: number;
  /** Medians. */
  readonly seconds: CategorySeconds;
  /** Resident memory above that before anything was measured, at most. */
  readonly peakGrowthBytes: number;
}

async function measureCategory(
  kind: MaskKind,
  memoryBefore: number,
  { runs, onProgress, signal }: BenchOptions,
): Promise<CategoryFigures> {
  const task = `metrics of ${CATEGORY_MAPS} maps, ${kind}`;
  const all: CategorySeconds[] = [];
  const counts = { pixels: 0, anomalousPixels: 0 };
  const memory = new MemoryPeak(memoryBefore);
  onProgress({ kind: 'start', task, total: runs + 1, unit: 'steps' });
  // The first run is warm-up.
  for (let run = 0; run <= runs; run++) {
    const metrics = new PixelMetrics();
    let collect = 0;
    for (let index = 0; index < CATEGORY_MAPS; index++) {
      const { map, mask } = drawMap(`${kind} ${index}`, SIDE, kind);
      collect += secondsOf(() => metrics.add(map, mask, SIDE, SIDE));
      memory.sample();
      await setImmediate();
      signal.throwIfAborted();
    }
    const allMetrics = secondsOf(() => metrics.value());
    memory.sample();
    const ranking = metrics.ranking();
    [counts.pixels, counts.anomalousPixels] = [ranking.normals + ranking.anomalous, ranking.anomalous];
    const seconds = {
      collect,
      allMetrics,
      auroc: secondsOf(() => auroc(ranking)),
      averagePrecision: secondsOf(() => averagePrecision(ranking)),
      f1max: secondsOf(() => bestF1(ranking)),
      auproPaper: secondsOf(() => sweep(ranking, new PaperAupro(ranking, LIMIT))),
      auproExact: secondsOf(() => sweep(ranking, new ExactAupro(ranking, LIMIT))),
      curves: secondsOf(() => [metrics.rocCurve(), metrics.precisionRecallCurve(), metrics.proCurve()]),
    };
    if (run > 0) all.push(seconds);
    onProgress({ kind: 'advance', task, done: run + 1, total: runs + 1 });
  }
  onProgress({ kind: 'done', task });
  const names = Object.keys(all[0] as CategorySeconds) as (keyof CategorySeconds)[];
  const seconds = Object.fromEntries(
    names.map((name) => [name, median(all.map((of) => of[name]))]),
  ) as unknown as CategorySeconds;
  return { ...counts, seconds, peakGrowthBytes: memory.growth };
}

interface WholeSetFigures {
  readonly maps: number;
  readonly categories: number;
  readonly pixels: number;
  readonly anomalousPixels: number;
  readonly collectSeconds: number;
  /** All metrics of all categories, one by one. */
  readonly categoriesSeconds: number;
  /** All metrics of all pixels together. */
  readonly togetherSeconds: number;
  readonly peakGrowthBytes: number;
}

/** Every map is drawn, counted in its category and in the whole set, and let go. */
async function measureWholeSet(
  memoryBefore: number,
  { maps, onProgress, signal }: BenchOptions,
): Promise<WholeSetFigures> {
  const task = `metrics of ${maps} maps together`;
  const whole = new PixelMetrics();
  const memory = new MemoryPeak(memoryBefore);
  let [collectSeconds, categoriesSeconds, done] = [0, 0, 0];
  onProgress({ kind: 'start', task, total: maps, unit: 'images' });
  const perCategory = Math.ceil(maps / CATEGORIES);
  let category = new PixelMetrics();
  while (done < maps) {
    const { map, mask } = drawMap(`whole ${done}`, SIDE, 'ellipses');
    collectSeconds += secondsOf(() => category.add(map, mask, SIDE, SIDE));
    memory.sample();
    done++;
    if (done % perCategory === 0 || done === maps) {
      categoriesSeconds += secondsOf(() => category.value());
      collectSeconds += secondsOf(() => whole.include(category));
      category = new PixelMetrics();
    }
    onProgress({ kind: 'advance', task, done, total: maps });
    await setImmediate();
    signal.throwIfAborted();
  }
  const togetherSeconds = secondsOf(() => whole.value());
  memory.sample();
  onProgress({ kind: 'done', task });
  const { normals, anomalous } = whole.ranking();
  return {
    maps,
    categories: Math.ceil(maps / perCategory),
    pixels: normals + anomalous,
    anomalousPixels: anomalous,
    collectSeconds,
    categoriesSeconds,
    togetherSeconds,
    peakGrowthBytes: memory.growth,
  };
}

/** The most resident memory seen, above what there was before. */
class MemoryPeak {
  private peak = 0;

  constructor(private readonly before: number) {}

  sample(): void {
    this.peak = Math.max(this.peak, process.memoryUsage.rss());
  }

  get growth(): number {
    return Math.max(0, this.peak - this.before);
  }
}

function secondsOf(work: () => unknown): number {
  const began = performance.now();
  work();
  return (performance.now() - began) / 1000;
}

function reportOf(
  ellipses: CategoryFigures,
  specks: CategoryFigures,
  wholeSet: WholeSetFigures | undefined,
  { runs }: BenchOptions,
): BenchReport {
  const right = { align: 'right' as const };
  const row = (what: string, of: (figures: CategoryFigures) => string): string[] => [what, of(ellipses), of(specks)];
  const timed = (what: string, name: keyof CategorySeconds): string[] =>
    row(what, ({ seconds }) => seconds[name].toFixed(2));
  const pixels = (count: number): string => `${(count / 1e6).toFixed(1)} M`;
  return {
    title: `Pixel metrics of ${CATEGORY_MAPS} maps of ${SIDE} x ${SIDE}, seconds, median of ${runs}; masks of ellipses, and of specks (many tiny regions)`,
    columns: [{ title: 'what' }, { title: 'ellipses', ...right }, { title: 'specks', ...right }],
    rows: [
      timed('collecting: regions, buckets', 'collect'),
      timed('all five metrics in one run', 'allMetrics'),
      row('together', ({ seconds }) => (seconds.collect + seconds.allMetrics).toFixed(2)),
      null,
      timed('alone: AUROC', 'auroc'),
      timed('alone: AP', 'averagePrecision'),
      timed('alone: F1-max', 'f1max'),
      timed('alone: AUPRO paper200@0.3', 'auproPaper'),
      timed('alone: AUPRO exact@0.3', 'auproExact'),
      timed('three curves', 'curves'),
      row('pixels', (figures) => pixels(figures.pixels)),
      row('anomalous pixels', (figures) => pixels(figures.anomalousPixels)),
      row('memory growth', ({ peakGrowthBytes }) => formatBytes(peakGrowthBytes)),
      ...(wholeSet
        ? [
            null,
            [`${wholeSet.maps} maps, each seen once: collecting`, wholeSet.collectSeconds.toFixed(2)],
            [`all metrics of ${wholeSet.categories} categories`, wholeSet.categoriesSeconds.toFixed(2)],
            ['all metrics of all pixels together', wholeSet.togetherSeconds.toFixed(2)],
            ['pixels', pixels(wholeSet.pixels)],
            ['anomalous pixels', pixels(wholeSet.anomalousPixels)],
            ['memory growth', formatBytes(wholeSet.peakGrowthBytes)],
          ]
        : []),
    ],
    figures: { side: SIDE, categoryMaps: CATEGORY_MAPS, ellipses, specks, wholeSet: wholeSet ?? null },
  };
}
