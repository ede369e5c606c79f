import type { CommandModule } from 'yargs';
import { BACKEND_CHOICES, prepareBackend, type BackendChoice } from '../../lib/backend';
import { UsageError } from '../../lib/errors';
import { interruptible } from '../../terminal/interrupt';
import { openJsonLines, print } from '../../terminal/output';
import { withExamples } from '../../terminal/examples';
import { createProgressReporter } from '../../terminal/progress-bar';
import { describeMachine, machineText } from './machine';
import type { BenchPart } from './part';

/** What can be measured, by its flag. */
const PARTS = {
  training: 'steps of training, the feature cache, and memory over many steps',
  metrics: 'exact pixel metrics of 100 maps, and of a set the size of MVTec-AD',
} as const;
type PartName = keyof typeof PARTS;
const PART_NAMES = Object.keys(PARTS) as PartName[];

/** Each is loaded only when it is asked for. */
async function partNamed(name: PartName): Promise<BenchPart> {
  return name === 'training' ? (await import('./training')).trainingBench : (await import('./metrics')).metricsBench;
}

interface BenchArguments extends Partial<Record<PartName, boolean>> {
  runs: number;
  maps: number;
  small: boolean;
  backbone?: string[] | undefined;
  imageSize?: string[] | undefined;
  batch?: string[] | undefined;
  seconds?: number | undefined;
  picture?: string | undefined;
  quick: boolean;
  job?: string | undefined;
  json?: string | undefined;
  backend: BackendChoice;
}

/** Seconds for each case of the forward pass, about; with `--quick`. */
const [USUAL_SECONDS, QUICK_SECONDS] = [30, 20] as const;

/** `crane bench`: how fast this machine is, measured in one run so that the figures can be compared with each other. */
export const benchCommand: CommandModule<object, BenchArguments> = {
  command: 'bench',
  describe: 'Measure speed and memory on this machine',
  builder: (argv) => {
    for (const name of PART_NAMES)
      argv.option(name, {
        type: 'boolean',
        default: false,
        describe: PARTS[name],
        group: 'Instead of the forward pass:',
      });
    const group = 'The forward pass:';
    const list = { type: 'string' as const, array: true, requiresArg: true, group };
    return withExamples(
      argv
        .option('backbone', {
          ...list,
          defaultDescription: 'nano,ViT-B/16,ViT-L/14@336px',
          describe:
            'networks to measure: registered names, files or folders; a name whose file is not cached is measured with random weights of the same shapes',
        })
        .option('image-size', {
          ...list,
          defaultDescription: 'its own for nano, else 336,518',
          describe: 'sides of the network input in pixels',
        })
        .option('batch', { ...list, defaultDescription: '1,4,8', describe: 'images at a time' })
        .option('picture', {
          type: 'string',
          group,
          defaultDescription: '1024x1024',
          describe: 'an image to score, or the size of synthetic ones',
        })
        .option('seconds', {
          type: 'number',
          defaultDescription: `${USUAL_SECONDS}`,
          group,
          describe: 'for a case, about; large ones have fewer runs',
        })
        .option('quick', {
          type: 'boolean',
          default: false,
          group,
          describe: `one image at a time at 518 pixels, ${QUICK_SECONDS} seconds for each network`,
        })
        .option('job', { type: 'string', hidden: true })
        .option('maps', { type: 'number', default: 1725, describe: '--metrics: maps of the whole set, 0 for none' })
        .option('small', {
          type: 'boolean',
          default: false,
          describe: '--training: small shapes, to try it out in seconds',
        })
        .option('runs', { type: 'number', default: 5, describe: 'how often each item is measured; medians are shown' })
        .option('json', {
          type: 'string',
          describe:
            'also write one JSON object: to a file, or to standard output with "-"; docs/performance.md has its fields',
        })
        .option('backend', { choices: BACKEND_CHOICES, default: 'auto' as BackendChoice, describe: 'what computes' }),
      [
        ['the forward pass of three networks, by stage: about ten minutes on two cores', 'crane bench'],
        ['the same in two minutes', 'crane bench --quick'],
        [
          "the paper's network and image size, from its file, for programs",
          'crane bench --backbone models/ViT-L-14-336px.pt --image-size 518 --batch 1 --json -',
        ],
        ['a training step and the feature cache, at the shapes of ViT-L/14 at 518 pixels', 'crane bench --training'],
        ['pixel metrics of one category and of a whole set', 'crane bench --metrics --runs 1'],
      ],
    ) as never;
  },
  handler: async (args) => {
    if (args.job === undefined) await interruptible((signal) => bench(args, signal));
    else await (await import('./measuring-process')).runJob(args.job);
  },
};

async function bench(args: BenchArguments, signal: AbortSignal): Promise<void> {
  const chosen = PART_NAMES.filter((name) => args[name]);
  const seconds = args.seconds ?? (args.quick ? QUICK_SECONDS : USUAL_SECONDS);
  const choice = {
    backbones: listOf('backbone', args.backbone),
    imageSizes: wholeNumbersOf('image-size', args.imageSize),
    batches: wholeNumbersOf('batch', args.batch),
  };
  const json = args.json === undefined ? undefined : openJsonLines('--json', args.json);
  try {
    const machine = describeMachine(await prepareBackend(args.backend));
    const say = (text: string): void => {
      if (args.json === '-') return;
      // In the place of the progress bar.
      if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
      print(text.replace(/\n$/, ''));
    };
    say(`${machineText(machine)}\n`);
    const figures: Record<string, unknown> = {};
    const common = { runs: args.runs, onProgress: createProgressReporter(process.stderr), signal };
    for (const name of chosen) {
      const part = await partNamed(name);
      const report = await part({ ...common, maps: args.maps, small: args.small });
      say(`\n${report.text}\n`);
      figures[name] = report.figures;
    }
    if (chosen.length === 0) {
      const { benchForward } = await import('./forward');
      const { peakGflops, ...report } = await benchForward({ ...common, ...choice, ...args, seconds, say });
      json?.write({ schemaVersion: 1, peakGflops, machine, runs: args.runs, ...report });
    } else json?.write({ schemaVersion: 1, machine, runs: args.runs, ...figures });
  } finally {
    json?.close();
  }
}

/** What an option names, given once with commas or several times. */
function listOf(option: string, given: readonly string[] | undefined): string[] | undefined {
  const items = given?.flatMap((text) => text.split(',')).map((item) => item.trim());
  if (items?.includes(''))
    throw new UsageError(
      'usage/value',
      `--${option} ${given?.join(' ')}: a value is missing; a list is written with commas`,
      { found: given },
    );
  return items;
}

function wholeNumbersOf(option: string, given: readonly string[] | undefined): number[] | undefined {
  const numbers = listOf(option, given)?.map(Number);
  for (const found of numbers ?? []) {
    if (Number.isInteger(found) && found >= 1) continue;
    throw new UsageError('usage/number', `--${option} ${found}: expected a whole number of 1 or more`, { found });
  }
  return numbers;
}
