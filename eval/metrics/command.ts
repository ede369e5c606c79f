import * as path from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { withExamples } from '../../cli/examples';
import { interruptible } from '../../cli/interrupt';
import { asFlags } from '../../cli/option-flags';
import { openJsonLines, print, say } from '../../cli/output';
import { createProgressReporter } from '../../cli/progress-bar';
import { shownInLine } from '../../cli/terminal-text';
import { UsageError } from '../../lib/errors';
import { packageVersion } from '../../lib/version';
import { METRIC_TITLES, metricsLegend, metricsTable } from '../metrics-table';
import { RESULTS_SCHEMA_VERSION, type DatasetResult } from '../results';
import { meanOverCategories, METRIC_IDS, PIXEL_METRIC_IDS, type MetricId } from './metric-ids';
import { pairByPath, type Pairs } from './pairing';
import { openMaps, openMasks } from './score-files';
import { readScoreList } from './score-list';
import { scoreMaps, type ScoredCategory, type ScoredMaps } from './score-maps';

interface MetricsArguments {
  maps: string;
  masks: string;
  scores?: string | undefined;
  normalWithoutMask: boolean;
  resize: 'masks' | 'maps';
  wholeSet: boolean;
  referenceMeans: boolean;
  json?: string | undefined;
}

/** `crane metrics MAPS MASKS` */
export const metricsCommand: CommandModule<object, MetricsArguments> = {
  command: 'metrics <maps> <masks>',
  describe: "Compute the metrics of any program's anomaly maps",
  builder: (argv) =>
    withExamples(
      argv
        .positional('maps', { type: 'string', demandOption: true, describe: 'folder of maps: .npy, .npz, 16-bit PNG, TIFF (also of floating point); larger is more anomalous' })
        .positional('masks', {
          type: 'string',
          demandOption: true,
          describe: 'folder of masks: anything but 0 is anomalous. Paired by path and name; 000_mask.png belongs to 000.npy. Folders are categories',
        })
        .option('scores', { type: 'string', describe: 'CSV of image scores, name,score or name,score,label with label 0 or 1' })
        .option('normal-without-mask', { type: 'boolean', default: false, describe: 'images without a mask are normal' })
        .option('resize', {
          choices: ['masks', 'maps'] as const,
          default: 'masks' as const,
          describe: 'what is resized where sizes differ: masks (bilinear, cut at one half, as the reference does) or maps (bilinear)',
        })
        .option('whole-set', { type: 'boolean', default: false, describe: 'also a row for the pixels of all categories together' })
        .option('reference-means', { type: 'boolean', default: false, describe: 'count a metric that is not defined as 0 in the mean, as the reference does' })
        .option('json', { type: 'string', describe: 'write the results as JSON: to a file, or to standard output with "-"' }),
      [
        ['one category, whose normal images have no masks', 'crane metrics maps/bottle mvtec/bottle/ground_truth --normal-without-mask'],
        ['a folder of categories, with image scores', 'crane metrics maps masks --scores scores.csv'],
        ['for programs', 'crane metrics maps.npz masks.npz --json -'],
      ],
    ) as never,
  handler: async (args) => {
    process.exitCode = await interruptible((signal) => runMetrics(args, signal));
  },
};

async function runMetrics(args: ArgumentsCamelCase<MetricsArguments>, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  const list = args.scores === undefined ? [] : readScoreList(args.scores);
  const name = path.basename(path.resolve(args.maps)).replace(/\.npz$/i, '');
  const maps = openMaps(args.maps);
  const masks = openMasks(args.masks);
  const json = args.json === undefined ? undefined : openJsonLines('--json', args.json);
  try {
    const pairs = pairByPath(maps.files, masks.files, list, name);
    if (pairs.maps.every(({ masks: found }) => found.length === 0)) refuseStrangers(args, pairs);
    const { normalWithoutMask, resize, wholeSet, referenceMeans } = args;
    const scored = await scoreMaps(pairs.maps, { normalWithoutMask, resize, wholeSet, signal, onProgress: createProgressReporter(process.stderr) });
    const failures = [...scored.failures, ...leftOver(pairs)];
    // Without scores image metrics are not undefined but unknown, which the reference would not count as 0 either.
    const measured = list.length > 0 ? METRIC_IDS : PIXEL_METRIC_IDS;
    const mean = meanOverCategories(scored.categories.map(({ metrics }) => Object.fromEntries(measured.map((id) => [id, metrics[id]]))), { referenceMeans });
    const result: DatasetResult = { name, categories: scored.categories.map(categoryResult), mean, ...(referenceMeans ? { referenceMeans } : {}), ...(failures.length > 0 ? { failures } : {}) };
    json?.write(asJson(result, scored, (performance.now() - began) / 1000));
    if (args.json !== '-') print(tableText(result, scored));
    for (const { message } of failures) say(shownInLine(message));
    // Beside the figures, wherever these go: they look like those of the whole set.
    if (failures.length > 0) (args.json === '-' ? say : print)(incomplete(scored.categories, failures.length));
    return failures.length > 0 ? 1 : 0;
  } finally {
    json?.close();
    maps.close();
    masks.close();
  }
}

/** @throws UsageError since nothing can be scored */
function refuseStrangers({ maps, masks }: MetricsArguments, pairs: Pairs): never {
  const mask = pairs.masksLeftOver[0]?.path;
  throw new UsageError(
    'usage/pairing',
    `no map in ${maps} and mask in ${masks} have the same name: ${pairs.maps[0]?.map.path} and ${mask}, for instance. ` +
      'Expected the same path in both folders, but for suffix and endings such as _mask.',
    { maps, masks },
  );
}

function leftOver({ masksLeftOver, rowsLeftOver }: Pairs): { path: string; message: string }[] {
  return [
    ...masksLeftOver.map(({ path: file }) => ({ path: file, message: `${file}: no map belongs to this mask. Was its image not scored?` })),
    ...rowsLeftOver.map(({ name, line }) => ({ path: name, message: `${name}: no map belongs to line ${line} of the list of scores` })),
  ];
}

function categoryResult({ name, images, anomalous, metrics }: ScoredCategory): DatasetResult['categories'][number] {
  return { name, images, anomalous, metrics };
}

/** The schema of `results.json`, without a model, and with what only this command knows. */
function asJson(result: DatasetResult, { categories, wholeSet }: ScoredMaps, seconds: number): unknown {
  const detailed = (category: ScoredCategory): unknown => {
    const { name, images, anomalous, metrics, reasons, bestF1, notCounted } = category;
    return {
      ...{ name, images, anomalous, metrics },
      ...(Object.keys(reasons).length > 0 ? { reasons: Object.fromEntries(Object.entries(reasons).map(([id, reason]) => [id, asFlags(reason)])) } : {}),
      thresholds: { 'image/f1max': bestF1.image?.threshold ?? null, 'pixel/f1max': bestF1.pixel?.threshold ?? null },
      ...(notCounted > 0 ? { notCounted } : {}),
    };
  };
  return {
    schemaVersion: RESULTS_SCHEMA_VERSION,
    datasets: [
      {
        ...result,
        categories: categories.map(detailed),
        ...(wholeSet ? { wholeSet: detailed(wholeSet) } : {}),
      },
    ],
    run: {
      version: packageVersion(),
      node: process.versions.node,
      command: ['crane', ...process.argv.slice(2)].join(' '),
      date: new Date().toISOString(),
      seconds,
    },
  };
}

/** What a terminal shows. */
function tableText(result: DatasetResult, { categories, wholeSet }: ScoredMaps): string {
  const rows = wholeSet ? [wholeSet] : [];
  const groups = rows.map((category) => ({ name: category.name, categories: [categoryResult(category)], mean: category.metrics }));
  const notes = [
    metricsLegend(),
    ...reasonLines([...categories, ...rows]),
    thresholdLine([...categories, ...rows]),
  ];
  return `\n${result.name}\n\n${metricsTable(groups.length > 0 ? { ...result, groups } : result)}\n\n${notes.join('\n')}`;
}

/** Why something is not defined, each reason once. */
function reasonLines(categories: readonly ScoredCategory[]): string[] {
  const byReason = new Map<string, { titles: Set<string>; names: Set<string> }>();
  for (const { name, reasons } of categories) {
    for (const [id, reason] of Object.entries(reasons)) {
      const where = byReason.get(reason) ?? { titles: new Set(), names: new Set() };
      byReason.set(reason, where);
      where.titles.add(METRIC_TITLES[id as MetricId]);
      where.names.add(name);
    }
  }
  return [...byReason].map(([reason, { titles, names }]) => {
    const where = names.size === categories.length ? '' : ` of ${[...names].join(', ')}`;
    return `n/a: ${titles.size === METRIC_IDS.length ? 'everything' : [...titles].join(', ')}${where}: ${reason}.`;
  });
}

function thresholdLine(categories: readonly ScoredCategory[]): string {
  const thresholds = categories.map(({ name, bestF1 }) => `${name} ${bestF1.pixel ? Number(bestF1.pixel.threshold.toPrecision(5)) : 'n/a'}`);
  return `Pixel threshold with the best F1 (score at or above it): ${thresholds.join(', ')}.`;
}

function incomplete(categories: readonly ScoredCategory[], failures: number): string {
  const parts = categories.filter(({ notCounted }) => notCounted > 0).map(({ name, notCounted, images }) => `${notCounted} of the ${images + notCounted} images of ${name}`);
  const what = parts.length > 0 ? `${parts.join(', ')} are not counted` : 'masks or rows of scores are left over';
  return `INCOMPLETE, ${failures} ${failures === 1 ? 'problem' : 'problems'}: ${what}. The figures are of the rest, not of the whole set.`;
}
