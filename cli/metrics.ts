import * as path from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { withExamples } from '../terminal/examples';
import { interruptible } from '../terminal/interrupt';
import { asFlags } from '../terminal/option-flags';
import { openJsonLines, print, say } from '../terminal/output';
import { createProgressReporter } from '../terminal/progress-bar';
import { shownInLine } from '../terminal/terminal-text';
import { UsageError } from '../lib/errors';
import { packageVersion } from '../lib/files/version';
import { METRIC_TITLES, metricsLegend, metricsTable } from '../eval/metrics-table';
import { RESULTS_SCHEMA_VERSION, type DatasetResult } from '../eval/results';
import { meanOverCategories, METRIC_IDS, PIXEL_METRIC_IDS, type MetricId } from '../eval/metrics/metric-ids';
import { pairByPath, type Pairs } from '../eval/metrics/pairing';
import { openMaps, openMasks, type FileSet } from '../eval/metrics/score-files';
import { readScoreList } from '../eval/metrics/score-list';
import { scoreMaps, type ScoredCategory, type ScoredMaps } from '../eval/score-maps';

interface MetricsArguments {
  maps: string;
  masks: string;
  scores?: string | undefined;
  normalWithoutMask: boolean;
  resize: 'masks' | 'maps';
  ignoreValue?: string | undefined;
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
        .positional('maps', {
          type: 'string',
          demandOption: true,
          describe: 'folder of maps: .npy, .npz, 16-bit PNG, TIFF (float32 too); larger is more anomalous',
        })
        .positional('masks', {
          type: 'string',
          demandOption: true,
          describe:
            'folder of masks: anything above 0 is anomalous. Paired by path and name; 000_mask.png belongs to 000.npy. Folders are categories',
        })
        .option('scores', {
          type: 'string',
          describe:
            'CSV of image scores, name,score or name,score,label with label 0 or 1, normal or anomaly, good or bad',
        })
        .option('normal-without-mask', {
          type: 'boolean',
          default: false,
          describe: 'images without a mask are normal',
        })
        .option('ignore-value', {
          type: 'string',
          nargs: 1,
          describe:
            "mask value whose pixels are left out of all pixel metrics and AUPRO's regions: -1, nan, 255; several with commas",
        })
        .option('resize', {
          choices: ['masks', 'maps'] as const,
          default: 'masks' as const,
          describe:
            'what is resized where sizes differ: masks (bilinear, cut at one half, as the reference does) or maps (bilinear)',
        })
        .option('whole-set', {
          type: 'boolean',
          default: false,
          describe: 'add a row for the pixels of all categories together',
        })
        .option('reference-means', {
          type: 'boolean',
          default: false,
          describe: 'count undefined metrics as 0 in the mean, as the reference does',
        })
        .option('json', {
          type: 'string',
          describe: 'write the results as JSON: to a file, or to standard output with "-"',
        }),
      [
        [
          'one category, whose normal images have no masks',
          'crane metrics maps/bottle mvtec/bottle/ground_truth --normal-without-mask',
        ],
        ['a folder of categories, with image scores', 'crane metrics maps masks --scores scores.csv'],
        ['masks in which 255 means "unknown"', 'crane metrics maps masks --ignore-value 255'],
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
  const ignoring = ignoredValues(args.ignoreValue);
  const name = path.basename(path.resolve(args.maps)).replace(/\.npz$/i, '');
  const maps = openMaps(args.maps);
  const masks = openMasks(args.masks, ignoring);
  const json = args.json === undefined ? undefined : openJsonLines('--json', args.json);
  try {
    const pairs = pairByPath(maps.files, masks.files, list, name);
    if (pairs.maps.every(({ masks: found }) => found.length === 0)) refuseStrangers(args, pairs);
    const { normalWithoutMask, resize, wholeSet, referenceMeans } = args;
    const scored = await scoreMaps(pairs.maps, {
      normalWithoutMask,
      resize,
      wholeSet,
      signal,
      onProgress: createProgressReporter(process.stderr),
    });
    const failures = [...scored.failures, ...leftOver(pairs)];
    // Without scores, image metrics are unknown rather than undefined, and even the reference would not count them as
    // 0.
    const measured = list.length > 0 ? METRIC_IDS : PIXEL_METRIC_IDS;
    const mean = meanOverCategories(
      scored.categories.map(({ metrics }) => Object.fromEntries(measured.map((id) => [id, metrics[id]]))),
      { referenceMeans },
    );
    const result: DatasetResult = {
      name,
      categories: scored.categories.map(categoryResult),
      mean,
      ...(referenceMeans ? { referenceMeans } : {}),
      ...(failures.length > 0 ? { failures } : {}),
    };
    json?.write(asJson(result, scored, (performance.now() - began) / 1000));
    const notes = [...notRead(args, maps, masks, pairs), ...ignoredLines(scored, ignoring)];
    if (args.json !== '-') print(`${tableText(result, scored)}${notes.map((note) => `\n${note}`).join('')}`);
    else notes.forEach((note) => say(shownInLine(note)));
    for (const { message } of failures) say(shownInLine(message));
    // Shown wherever the figures go, since they look like those of the whole set.
    if (failures.length > 0) (args.json === '-' ? say : print)(incomplete(scored.categories, failures.length));
    return failures.length > 0 ? 1 : 0;
  } finally {
    json?.close();
    maps.close();
    masks.close();
  }
}

/** @throws UsageError for anything but a list of numbers */
function ignoredValues(text: string | undefined): ReadonlySet<number> {
  return new Set(
    (text === undefined ? [] : text.split(',')).map((part) => {
      const word = part.trim().toLowerCase();
      const value =
        word === 'nan'
          ? NaN
          : /^[+-]?inf(inity)?$/.test(word)
            ? word.startsWith('-')
              ? -Infinity
              : Infinity
            : Number(word || 'none');
      if (Number.isNaN(value) && word !== 'nan') {
        throw new UsageError(
          'usage/ignore-value',
          `--ignore-value ${text}: "${part.trim()}" is not a number. Expected a mask value, such as -1, nan or 255, or several with commas.`,
          { found: part },
        );
      }
      return value;
    }),
  );
}

/** Files in the folders that are not read, so that nobody thinks they were scored. */
function notRead(
  args: MetricsArguments,
  maps: FileSet<unknown>,
  masks: FileSet<unknown>,
  { imageFiles }: Pairs,
): string[] {
  const told = (place: string, files: readonly string[], why: string): string[] =>
    files.length === 0
      ? []
      : [
          `Not read in ${place}: ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${why}: ${files.length === 1 ? '' : 'for example '}${files[0]}.`,
        ];
  const arrays = maps.files.some(({ path: file }) => /\.np[yz](#.*)?$/i.test(file));
  return [
    ...told(args.maps, maps.unread, arrays ? 'since maps are read from the arrays next to them' : 'of other kinds'),
    ...told(args.masks, masks.unread, 'of other kinds'),
    ...told(
      args.masks,
      imageFiles.map(({ path: file }) => file),
      'assumed to be the images, since there are masks next to them',
    ),
  ];
}

function ignoredLines({ categories }: ScoredMaps, ignoring: ReadonlySet<number>): string[] {
  if (ignoring.size === 0) return [];
  const values = [...ignoring].join(', ');
  const found = categories
    .filter(({ ignoredPixels }) => ignoredPixels > 0)
    .map(({ name, ignoredPixels }) => `${ignoredPixels} in ${name}`);
  return [
    found.length > 0
      ? `Pixels left out, since their masks hold ${values}: ${found.join(', ')}.`
      : `No mask that was counted holds ${values}, so --ignore-value had no effect.`,
  ];
}

/** @throws UsageError always, since nothing can be scored */
function refuseStrangers({ maps, masks }: MetricsArguments, pairs: Pairs): never {
  const mask = pairs.masksLeftOver[0]?.path;
  throw new UsageError(
    'usage/pairing',
    `no map in ${maps} has the same name as a mask in ${masks}: found ${pairs.maps[0]?.map.path} and ${mask}, for example. ` +
      'Expected the same path in both folders, apart from suffixes and endings such as _mask.',
    { maps, masks },
  );
}

function leftOver({ masksLeftOver, rowsLeftOver }: Pairs): { path: string; message: string }[] {
  return [
    ...masksLeftOver.map(({ path: file }) => ({
      path: file,
      message: `${file}: no map belongs to this mask. Was its image not scored?`,
    })),
    ...rowsLeftOver.map(({ name, line }) => ({
      path: name,
      message: `${name}: no map belongs to line ${line} of the list of scores`,
    })),
  ];
}

function categoryResult({ name, images, anomalous, metrics }: ScoredCategory): DatasetResult['categories'][number] {
  return { name, images, anomalous, metrics };
}

/** The schema of `results.json`, without a model, plus what only this command knows. */
function asJson(result: DatasetResult, { categories, wholeSet }: ScoredMaps, seconds: number): unknown {
  const detailed = (category: ScoredCategory): unknown => {
    const { name, images, anomalous, metrics, reasons, bestF1, notCounted, ignoredPixels } = category;
    return {
      ...{ name, images, anomalous, metrics },
      ...(Object.keys(reasons).length > 0
        ? { reasons: Object.fromEntries(Object.entries(reasons).map(([id, reason]) => [id, asFlags(reason)])) }
        : {}),
      thresholds: { 'image/f1max': bestF1.image?.threshold ?? null, 'pixel/f1max': bestF1.pixel?.threshold ?? null },
      ...(notCounted > 0 ? { notCounted } : {}),
      ...(ignoredPixels > 0 ? { ignoredPixels } : {}),
    };
  };
  return {
    schemaVersion: RESULTS_SCHEMA_VERSION,
    datasets: [
      { ...result, categories: categories.map(detailed), ...(wholeSet ? { wholeSet: detailed(wholeSet) } : {}) },
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

/** The text for the terminal. */
function tableText(result: DatasetResult, { categories, wholeSet }: ScoredMaps): string {
  const rows = wholeSet ? [wholeSet] : [];
  const groups = rows.map((category) => ({
    name: category.name,
    categories: [categoryResult(category)],
    mean: category.metrics,
  }));
  const notes = [metricsLegend(), ...reasonLines([...categories, ...rows]), thresholdLine([...categories, ...rows])];
  return `\n${result.name}\n\n${metricsTable(groups.length > 0 ? { ...result, groups } : result)}\n\n${notes.join('\n')}`;
}

/** Why metrics are not defined, each reason once. */
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
  const thresholds = categories.map(
    ({ name, bestF1 }) => `${name} ${bestF1.pixel ? shortest(bestF1.pixel.threshold) : 'n/a'}`,
  );
  return `Pixel threshold with the best F1 (scores at or above it are anomalous): ${thresholds.join(', ')}.`;
}

/** The fewest digits that identify this score, as float32 where it is one. */
function shortest(score: number): number {
  const isFloat32 = Math.fround(score) === score;
  for (let digits = 5; digits < 17; digits++) {
    const rounded = Number(score.toPrecision(digits));
    if ((isFloat32 ? Math.fround(rounded) : rounded) === score) return rounded;
  }
  return score;
}

function incomplete(categories: readonly ScoredCategory[], failures: number): string {
  const parts = categories
    .filter(({ notCounted }) => notCounted > 0)
    .map(({ name, notCounted, images }) => `${notCounted} of the ${images + notCounted} images of ${name}`);
  const what = parts.length > 0 ? `${parts.join(', ')} are not counted` : 'some masks or rows of scores were not used';
  return `INCOMPLETE, ${failures} ${failures === 1 ? 'problem' : 'problems'}: ${what}. The figures cover the rest, not the whole set.`;
}
