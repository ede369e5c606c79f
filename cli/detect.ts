import * as fs from 'node:fs';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { Crane } from '../lib/crane';
import { UsageError } from '../lib/errors';
import { isFolder, noImages, walkImages } from '../lib/image/image-files';
import { PICTURE_BYTES } from '../lib/memory-budget';
import { failedRow, formsFrom, savedRow, savingBytes, type Row, type SavingArguments } from './detection-row';
import { withExamples } from '../terminal/examples';
import { expandPattern, isPattern } from './expand-pattern';
import { imageSizeCost } from './image-size-cost';
import { interruptible } from '../terminal/interrupt';
import { isUrl, MAP_FORMS, planMapFiles, type MapFile } from './map-files';
import { craneOptionsFrom, modelOptions, type ModelArguments } from '../terminal/model-options';
import { openJsonLines, prepareFile, prepareFolder, print, say } from '../terminal/output';
import { createProgressReporter } from '../terminal/progress-bar';
import { SideTasks } from './side-tasks';
import { formatTable } from '../terminal/table';
import { withNamesInLine } from '../terminal/terminal-text';
import { SAVES_AT_ONCE, watch } from './watch';

interface DetectArguments extends ModelArguments, SavingArguments {
  images: string[];
  watch?: string | undefined;
  newOnly?: boolean | undefined;
  json?: string | undefined;
}

/** An image to score, or the error for images that are missing. */
interface Input {
  readonly source: string;
  readonly error?: string;
}

/** `crane detect IMAGES|DIRS…`, `crane detect --watch DIR` */
export const detectCommand: CommandModule<object, DetectArguments> = {
  command: 'detect [images..]',
  describe: 'Find defects in images or folders of images',
  builder: (argv) =>
    withExamples(
      modelOptions(
        argv
          .positional('images', {
            type: 'string',
            array: true,
            default: [],
            defaultDescription: 'none',
            describe: 'images, folders, patterns or URLs',
          })
          .option('watch', {
            type: 'string',
            describe: 'folder to watch: images are scored as they arrive, until Ctrl-C',
            group: 'Detection:',
          })
          .option('new-only', {
            type: 'boolean',
            describe: 'with --watch: skip images that are already there',
            group: 'Detection:',
          })
          .option('out', { type: 'string', describe: 'folder for maps and overlays', group: 'Detection:' })
          .option('save', {
            type: 'string',
            defaultDescription: 'overlay',
            describe: `what to write to --out: one or more of ${MAP_FORMS.join(',')}`,
            group: 'Detection:',
          })
          .option('threshold', {
            type: 'number',
            describe: 'anomaly threshold for masks and contours, 0 to 1',
            group: 'Detection:',
          })
          .option('per-image-scale', {
            type: 'boolean',
            default: false,
            describe: "scale colours to each map's own minimum and maximum",
            group: 'Detection:',
          })
          .option('json', {
            type: 'string',
            describe: 'file for one JSON object per image, - for standard output',
            group: 'Detection:',
          }),
      ),
      [
        ['score one image, and write an overlay', 'crane detect part.png --out results'],
        [
          'a whole folder, with maps and scores for programs',
          'crane detect line-3/ --out results --save overlay,npy --json scores.jsonl',
        ],
        ['watch a folder that a camera writes to', 'crane detect --watch incoming/ --out results --json -'],
      ],
    ) as never,
  handler: async (args) => {
    process.exitCode = await detect(args);
  },
};

async function detect(args: ArgumentsCamelCase<DetectArguments>): Promise<number> {
  const options = craneOptionsFrom(args);
  if (watches(args)) return watch(args, options);
  const forms = formsFrom(args);
  const inputs = args.images.flatMap(expand);
  if (inputs.every(({ error }) => error !== undefined))
    throw new UsageError('usage/empty-folder', inputs.map(({ error }) => error).join('\n'), {});
  if (args.json !== undefined && args.json !== '-') prepareFile('--json', args.json);
  let files: MapFile[][] | undefined;
  if (args.out !== undefined) {
    prepareFolder('--out', args.out);
    files = planMapFiles(
      inputs.map(({ source }) => source),
      args.out,
      forms,
    );
  }
  return interruptible(async (signal) => {
    const crane = await Crane.load({
      ...options,
      classNames: [],
      onProgress: createProgressReporter(process.stderr),
      signal,
    });
    const lines = args.json === undefined ? undefined : openJsonLines('--json', args.json);
    try {
      crane.description.warnings.forEach((warning) => say(warning));
      const cost = await imageSizeCost(crane.description);
      if (cost !== undefined) say(cost);
      const rows = new RowsInOrder((row) => lines?.write(row));
      await scoreAll(crane, inputs, rows, { files, args, signal });
      if (args.json !== '-') printTable(rows.emitted, args);
      return conclude(rows.emitted, inputs.length, signal);
    } finally {
      lines?.close();
      crane.dispose();
    }
  });
}

/** @throws UsageError where nothing is to be scored, or inputs conflict */
function watches(args: DetectArguments): args is DetectArguments & { watch: string } {
  if (args.watch !== undefined) {
    if (args.images.length === 0) return true;
    throw new UsageError(
      'usage/watch',
      `--watch ${args.watch} only scores images in that folder; leave out either ${args.images.join(', ')} or --watch.`,
      { watch: args.watch, images: args.images },
    );
  }
  if (args.newOnly === true) throw new UsageError('usage/watch', '--new-only needs --watch DIR.', {});
  if (args.images.length > 0) return false;
  throw new UsageError(
    'usage/arguments',
    'No input: give images, folders or URLs, or --watch DIR.\nSee `crane detect --help`.',
    {},
  );
}

interface Scoring {
  /** What to write for each input; undefined without `--out`. */
  readonly files: readonly MapFile[][] | undefined;
  readonly args: DetectArguments;
  readonly signal: AbortSignal;
}

/** Scores all inputs. Failures are reported, and the rest continues. Stops early when the signal aborts. */
async function scoreAll(
  crane: Crane,
  inputs: readonly Input[],
  rows: RowsInOrder,
  { files, args, signal }: Scoring,
): Promise<void> {
  const report = createProgressReporter(process.stderr);
  const total = inputs.length;
  const given = inputs.flatMap(({ source, error }, place) => (error === undefined ? [{ source, place }] : []));
  const placeOf = (index: number): number => given[index]?.place as number;
  const settle = (place: number, row: Row): void => {
    rows.put(place, row);
    if (row.error !== undefined) say(withNamesInLine(row.error, [row.path]));
    report({ kind: 'advance', task: 'detect', done: rows.count, total });
  };
  report({ kind: 'start', task: 'detect', total, unit: 'images' });
  const saves = new SideTasks(SAVES_AT_ONCE, PICTURE_BYTES);
  let finished = false;
  let ofPages = 0;
  try {
    inputs.forEach(({ source, error }, place) => {
      if (error !== undefined) settle(place, failedRow(source, error));
    });
    const stream = crane.stream(
      given.map(({ source }) => source),
      {
        keepPictures: files !== undefined,
        onFailure: ({ input, index, error }) => settle(placeOf(index), failedRow(input as string, error.message)),
      },
    );
    for await (const detection of stream) {
      const place = placeOf(detection.index);
      if (detection.pages !== undefined) ofPages++;
      await saves.start(
        detection.source,
        async () => settle(place, await savedRow(detection, files?.[place] ?? [], args)),
        savingBytes(detection),
      );
      if (signal.aborted) break;
    }
    await saves.finish();
    if (signal.aborted) return;
    report({ kind: 'done', task: 'detect' });
    finished = true;
    if (ofPages > 0)
      say(
        ofPages === 1
          ? '1 image has several pages or frames; the first is scored'
          : `${ofPages} images have several pages or frames; the first of each is scored`,
      );
  } finally {
    // Start the following output on a new line.
    if (!finished) say('', '');
  }
}

/** Collects rows as they arrive, and passes them on in input order. */
class RowsInOrder {
  readonly emitted: Row[] = [];
  private readonly waiting = new Map<number, Row>();

  constructor(private readonly emit: (row: Row) => void) {}

  get count(): number {
    return this.emitted.length + this.waiting.size;
  }

  put(place: number, row: Row): void {
    this.waiting.set(place, row);
    for (
      let next = this.waiting.get(this.emitted.length);
      next !== undefined;
      next = this.waiting.get(this.emitted.length)
    ) {
      this.waiting.delete(this.emitted.length);
      this.emitted.push(next);
      this.emit(next);
    }
  }
}

/** Expands a folder to the images below it, and a pattern to its matches; anything else is kept. */
function expand(given: string): Input[] {
  if (given === '')
    throw new UsageError(
      'usage/empty-path',
      'one of the images is an empty string; expected a path, a folder or a URL',
      {},
    );
  if (isUrl(given)) return [{ source: given }];
  if (isPattern(given) && !fs.existsSync(given)) {
    const found = expandPattern(given);
    if (found.length === 0)
      return [
        {
          source: given,
          error: `${given}: no file has this name or matches it as a pattern. Check the path; it is relative to ${process.cwd()}.`,
        },
      ];
    return found.flatMap(expand);
  }
  if (!isFolder(given)) return [{ source: given }];
  const { images, unreadable } = walkImages(given);
  const failed = unreadable.map(({ folder, code }) => ({
    source: folder,
    error: `${folder}: cannot be read (${code}). Check the permissions of the folder.`,
  }));
  if (images.length + failed.length > 0) return [...images.map((source) => ({ source })), ...failed];
  return [{ source: given, error: noImages(given).message }];
}

function printTable(rows: readonly Row[], { out }: DetectArguments): void {
  const shown = rows.filter((row) => row.score !== null);
  if (shown.length === 0) return;
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
  print(formatTable(columns, cells));
  if (out !== undefined) print(`\nWritten to ${out}`);
}

/** The closing message, and the exit code. */
function conclude(rows: readonly Row[], total: number, signal: AbortSignal): number {
  const failed = rows.filter((row) => row.error !== undefined).length;
  if (failed > 0) say(`${failed} of ${rows.length} images failed`);
  if (!signal.aborted) return failed > 0 ? 1 : 0;
  say(`Stopped after ${rows.length} of ${total} images.`);
  return 130;
}
