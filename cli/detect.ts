import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { Crane, stemOf } from '../lib/crane';
import type { Detection } from '../lib/detection';
import { UsageError } from '../lib/errors';
import { listImages } from '../datasets/listing';
import { batchSizeFrom, modelOptions, modelOptionsFrom, type ModelArguments } from './model-options';
import { createProgressReporter } from './progress-bar';
import { formatTable } from './table';

const FORMS = ['overlay', 'heatmap', 'mask', 'npy'] as const;
type Form = (typeof FORMS)[number];

interface DetectArguments extends ModelArguments {
  images: string[];
  out?: string | undefined;
  save: string;
  threshold?: number | undefined;
  perImageScale: boolean;
  json?: string | undefined;
}

/** One line of `--json`. */
interface Row {
  path: string;
  score: number | null;
  width: number | null;
  height: number | null;
  seconds: number | null;
  files: string[];
  error?: string;
}

/** `crane detect IMAGES|DIRS…` */
export const detectCommand: CommandModule<object, DetectArguments> = {
  command: 'detect <images..>',
  describe: 'Find defects in images or folders of images',
  builder: (argv) =>
    modelOptions(
      argv
        .positional('images', { type: 'string', array: true, demandOption: true, describe: 'images, folders or URLs' })
        .option('out', { type: 'string', describe: 'folder for maps and overlays' })
        .option('save', { type: 'string', default: 'overlay', describe: `what to write to --out: any of ${FORMS.join(',')}` })
        .option('threshold', { type: 'number', describe: 'anomaly threshold, 0 to 1: for masks and contours' })
        .option('per-image-scale', { type: 'boolean', default: false, describe: "colours from each map's own least to greatest" })
        .option('json', { type: 'string', describe: 'file for one JSON object per image, - for standard output' }),
    )
      .example('crane detect part.png --out results', 'score one image and write an overlay')
      .example('crane detect line-3/ --out results --save overlay,npy --json scores.jsonl', 'a whole folder') as never,
  handler: async (args) => {
    process.exitCode = await detect(args);
  },
};

async function detect(args: ArgumentsCamelCase<DetectArguments>): Promise<number> {
  const forms = formsFrom(args);
  const inputs = args.images.flatMap(expand);
  const report = createProgressReporter(process.stderr);
  const batchSize = batchSizeFrom(args);
  const crane = await Crane.load({
    ...modelOptionsFrom(args),
    ...(args.backbone === undefined ? {} : { backbone: args.backbone }),
    ...(args.prompts === undefined ? {} : { prompts: args.prompts }),
    ...(batchSize === undefined ? {} : { batchSize }),
    backend: args.backend,
    offline: args.offline,
    referenceImages: args.referenceImages,
    onProgress: report,
  });
  const rows: Row[] = [];
  const names = uniqueNames(inputs);
  try {
    const total = inputs.length;
    report({ kind: 'start', task: 'detect', total, unit: 'images' });
    const stream = crane.stream(inputs, {
      onFailure: ({ input, error }) => {
        const source = input as string;
        rows.push({ path: source, score: null, width: null, height: null, seconds: null, files: [], error: error.message });
        process.stderr.write(`${error.message}\n`);
      },
    });
    for await (const detection of stream) {
      const files = args.out === undefined ? [] : await save(detection, names.get(detection.source) as string, args.out, forms, args);
      const { source, score, width, height, seconds } = detection;
      rows.push({ path: source, score, width, height, seconds, files });
      report({ kind: 'advance', task: 'detect', done: rows.length, total });
    }
    report({ kind: 'done', task: 'detect' });
  } finally {
    crane.dispose();
  }
  const order = new Map(inputs.map((input, index) => [input, index]));
  rows.sort((a, b) => (order.get(a.path) as number) - (order.get(b.path) as number));
  print(rows, args);
  return rows.some((row) => row.error !== undefined) ? 1 : 0;
}

function formsFrom(args: DetectArguments): Form[] {
  const forms = args.save.split(',').map((part) => part.trim());
  const unknown = forms.filter((form) => !(FORMS as readonly string[]).includes(form));
  if (unknown.length > 0) {
    throw new UsageError('detect/save', `--save ${args.save}: ${unknown.join(', ')} is not known; choose among ${FORMS.join(', ')}`, { unknown });
  }
  if (forms.includes('mask') && args.threshold === undefined) {
    throw new UsageError('detect/threshold', '--save mask needs --threshold T, between 0 and 1: pixels above it are white', {});
  }
  return forms as Form[];
}

/** A folder stands for the images below it; anything else for itself. */
function expand(given: string): string[] {
  if (/^\w{2,}:\/\//.test(given) || !fs.existsSync(given) || !fs.statSync(given).isDirectory()) return [given];
  const found = imagesBelow(given);
  if (found.length === 0) throw new UsageError('detect/empty-folder', `${given}: no images in this folder or below it`, { folder: given });
  return found;
}

function imagesBelow(folder: string): string[] {
  const entries = fs.readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.'));
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name)).sort();
  return [...listImages(folder), ...folders.flatMap(imagesBelow)];
}

/** A file name for each image: its stem, and where several share one, with the folders in front that tell them apart. */
function uniqueNames(sources: readonly string[]): Map<string, string> {
  const parts = sources.map((source) => [...path.dirname(source).split(/[\\/]/).filter((part) => /[^.]/.test(part)), stemOf(source)]);
  const deepest = Math.max(...parts.map((of) => of.length));
  const names = parts.map((of) => of.slice(-1).join('-'));
  for (let depth = 2; depth <= deepest; depth++) {
    const shared = counted(names);
    parts.forEach((of, index) => {
      if ((shared.get(names[index] as string) as number) > 1) names[index] = of.slice(-depth).join('-');
    });
  }
  // What still has twins, such as a.png beside a.jpg, is numbered.
  const seen = new Map<string, number>();
  return new Map(
    sources.map((source, index) => {
      const name = names[index] as string;
      const before = seen.get(name) ?? 0;
      seen.set(name, before + 1);
      return [source, before === 0 ? name : `${name}-${before + 1}`];
    }),
  );
}

function counted(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

async function save(detection: Detection, name: string, out: string, forms: readonly Form[], args: DetectArguments): Promise<string[]> {
  const { map } = detection;
  const drawing = {
    ...(args.threshold === undefined ? {} : { threshold: args.threshold }),
    ...(args.perImageScale ? { scale: 'image' as const } : {}),
  };
  const files: string[] = [];
  for (const form of forms) {
    // With several forms, each but the overlay says what it is.
    const suffix = form === 'npy' ? '.npy' : form === 'overlay' ? '.png' : `-${form}.png`;
    const file = path.join(out, name + suffix);
    if (form === 'npy') await map.saveNative(file);
    else await map.save(file, { as: form, ...drawing });
    files.push(file);
  }
  return files;
}

function print(rows: readonly Row[], args: DetectArguments): void {
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  // yargs hands a lone dash over as an empty text.
  if (args.json === '-' || args.json === '') {
    process.stdout.write(lines);
    return;
  }
  if (args.json !== undefined) {
    fs.mkdirSync(path.dirname(path.resolve(args.json)), { recursive: true });
    fs.writeFileSync(args.json, lines);
  }
  const shown = rows.filter((row) => row.error === undefined);
  const columns = [
    { title: 'image' },
    { title: 'score', align: 'right' as const },
    { title: 'size', align: 'right' as const },
    { title: 'ms', align: 'right' as const },
  ];
  const cells = shown.map((row) => [
    row.path,
    (row.score as number).toFixed(4),
    `${row.width}x${row.height}`,
    Math.round((row.seconds as number) * 1000).toString(),
  ]);
  if (shown.length > 0) process.stdout.write(`${formatTable(columns, cells)}\n`);
  if (args.out !== undefined && shown.length > 0) process.stdout.write(`\nWritten to ${args.out}\n`);
  const failed = rows.length - shown.length;
  if (failed > 0) process.stderr.write(`${failed} of ${rows.length} images could not be read\n`);
}

