import { setImmediate } from 'node:timers/promises';
import { ExactAupro, PaperAupro } from '../../eval/metrics/aupro';
import { auroc } from '../../eval/metrics/auroc';
import { averagePrecision } from '../../eval/metrics/average-precision';
import { bestF1 } from '../../eval/metrics/f1-max';
import { PixelMetrics } from '../../eval/metrics/pixel-metrics';
import { sweep } from '../../eval/metrics/ranking';
import { formatBytes } from '../../terminal/table';
import { drawMap, type MaskKind } from './drawn-maps';
import { median, secondsOf, steps, tableOf, type BenchOptions, type BenchPart } from './part';

const SIDE = 518;
const CATEGORY_MAPS = 100;
/** As MVTec-AD. */
const CATEGORIES = 15;
const LIMIT = 0.3;

/** What is timed of a category's metrics once its maps are collected, in order. */
const TIMED = {
  allMetrics: (metrics) => metrics.value(),
  auroc: (_, ranking) => auroc(ranking),
  averagePrecision: (_, ranking) => averagePrecision(ranking),
  f1max: (_, ranking) => bestF1(ranking),
  auproPaper: (_, ranking) => sweep(ranking, new PaperAupro(ranking, LIMIT)),
  auproExact: (_, ranking) => sweep(ranking, new ExactAupro(ranking, LIMIT)),
  curves: (metrics) => [metrics.rocCurve(), metrics.precisionRecallCurve(), metrics.proCurve()],
} as const satisfies Record<string, (metrics: PixelMetrics, ranking: ReturnType<PixelMetrics['ranking']>) => unknown>;
const TIMED_NAMES = Object.keys(TIMED) as (keyof typeof TIMED)[];

/** `collect`: regions of the masks, and pixels into buckets. */
type CategorySeconds = Readonly<Record<'collect' | keyof typeof TIMED, number>>;

/** `crane bench --metrics`: the pixel metrics of one category, and of a whole set whose maps are seen once. */
export const metricsBench: BenchPart = async (options) => {
  const before = process.memoryUsage.rss();
  const ellipses = await measureCategory('ellipses', before, options);
  const specks = await measureCategory('specks', before, options);
  const wholeSet = options.maps > 0 ? await measureWholeSet(before, options) : null;

  type Category = typeof ellipses;
  const row = (what: string, of: (figures: Category) => string): string[] => [what, of(ellipses), of(specks)];
  const timed = (what: string, name: keyof CategorySeconds): string[] =>
    row(what, ({ seconds }) => seconds[name].toFixed(2));
  const pixels = (count: number): string => `${(count / 1e6).toFixed(1)} M`;
  const rows = [
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
  ];
  const title = `Pixel metrics of ${CATEGORY_MAPS} maps of ${SIDE} x ${SIDE}, seconds, median of ${options.runs}; masks of ellipses, and of specks (many tiny regions)`;
  return {
    text: `${title}\n\n${tableOf(['what', 'ellipses', 'specks'], rows)}`,
    figures: { side: SIDE, categoryMaps: CATEGORY_MAPS, ellipses, specks, wholeSet },
  };
};

async function measureCategory(kind: MaskKind, memoryBefore: number, options: BenchOptions) {
  const all: CategorySeconds[] = [];
  const memory = new MemoryPeak(memoryBefore);
  let [pixels, anomalousPixels] = [0, 0];
  // The first run is warm-up.
  for await (const run of steps(`metrics of ${CATEGORY_MAPS} maps, ${kind}`, options.runs + 1, options)) {
    const metrics = new PixelMetrics();
    let collect = 0;
    for (let index = 0; index < CATEGORY_MAPS; index++) {
      const { map, mask } = drawMap(`${kind} ${index}`, SIDE, kind);
      collect += secondsOf(() => metrics.add(map, mask, SIDE, SIDE));
      memory.sample();
      await setImmediate();
      options.signal.throwIfAborted();
    }
    const ranking = metrics.ranking();
    const seconds = TIMED_NAMES.map((name) => [name, secondsOf(() => TIMED[name](metrics, ranking))] as const);
    memory.sample();
    [pixels, anomalousPixels] = [ranking.normals + ranking.anomalous, ranking.anomalous];
    if (run > 0) all.push({ collect, ...Object.fromEntries(seconds) } as CategorySeconds);
  }
  const names = ['collect', ...TIMED_NAMES] as const;
  const seconds = Object.fromEntries(names.map((name) => [name, median(all.map((of) => of[name]))])) as CategorySeconds;
  return { pixels, anomalousPixels, seconds, peakGrowthBytes: memory.growth };
}

/** Every map is drawn, counted in its category and in the whole set, and let go. */
async function measureWholeSet(memoryBefore: number, options: BenchOptions) {
  const { maps } = options;
  const whole = new PixelMetrics();
  const memory = new MemoryPeak(memoryBefore);
  const perCategory = Math.ceil(maps / CATEGORIES);
  let [collectSeconds, categoriesSeconds] = [0, 0];
  let category = new PixelMetrics();
  for await (const index of steps(`metrics of ${maps} maps together`, maps, options, 'images')) {
    const { map, mask } = drawMap(`whole ${index}`, SIDE, 'ellipses');
    collectSeconds += secondsOf(() => category.add(map, mask, SIDE, SIDE));
    memory.sample();
    if ((index + 1) % perCategory !== 0 && index + 1 < maps) continue;
    categoriesSeconds += secondsOf(() => category.value());
    collectSeconds += secondsOf(() => whole.include(category));
    category = new PixelMetrics();
  }
  const togetherSeconds = secondsOf(() => whole.value());
  memory.sample();
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
