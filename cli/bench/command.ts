import type { CommandModule } from 'yargs';
import { BACKEND_CHOICES, prepareBackend, type BackendChoice } from '../../lib/backend';
import { UsageError } from '../../lib/errors';
import { interruptible } from '../interrupt';
import { openJsonLines } from '../output';
import { createProgressReporter } from '../progress-bar';
import { formatBytes, formatTable } from '../table';
import { describeMachine, type MachineDescription } from './machine';
import type { BenchPart, BenchReport } from './part';

/** What can be measured, by its flag. Each is loaded only when it is asked for. */
const PARTS = {
  training: {
    describe: 'steps of training, the feature cache, and memory over many steps',
    load: async (): Promise<BenchPart> => (await import('./training')).trainingBench,
  },
  metrics: {
    describe: 'exact pixel metrics of 100 maps, and of a set the size of MVTec-AD',
    load: async (): Promise<BenchPart> => (await import('./metrics')).metricsBench,
  },
} as const satisfies Record<string, { describe: string; load: () => Promise<BenchPart> }>;

type PartName = keyof typeof PARTS;
const PART_NAMES = Object.keys(PARTS) as PartName[];

interface BenchArguments extends Partial<Record<PartName, boolean>> {
  runs: number;
  maps: number;
  small: boolean;
  json?: string | undefined;
  backend: BackendChoice;
}

/** `crane bench`: how fast this machine is, measured in one run so that the figures can be compared with each other. */
export const benchCommand: CommandModule<object, BenchArguments> = {
  command: 'bench',
  describe: 'Measure speed and memory on this machine',
  builder: (argv) => {
    for (const name of PART_NAMES) argv.option(name, { type: 'boolean', default: false, describe: PARTS[name].describe, group: 'What to measure:' });
    return argv
      .option('runs', { type: 'number', default: 5, describe: 'how often each thing is measured; medians are shown' })
      .option('maps', { type: 'number', default: 1725, describe: '--metrics: maps of the whole set, 0 for none' })
      .option('small', { type: 'boolean', default: false, describe: '--training: small shapes, to try it out in seconds' })
      .option('json', { type: 'string', describe: 'also write one JSON object: to a file, or to standard output with "-"' })
      .option('backend', { choices: BACKEND_CHOICES, default: 'auto' as BackendChoice, describe: 'what computes' })
      .example('crane bench --training', 'a training step and the feature cache, at the shapes of ViT-L/14 at 518 pixels')
      .example('crane bench --metrics --runs 1', 'pixel metrics of one category and of a whole set')
      .example('crane bench --training --json -', 'the same for programs') as never;
  },
  handler: (args) => interruptible((signal) => bench(args, signal)),
};

async function bench(args: BenchArguments, signal: AbortSignal): Promise<void> {
  const chosen = PART_NAMES.filter((name) => args[name]);
  if (chosen.length === 0) {
    const list = PART_NAMES.map((name) => `  --${name.padEnd(10)} ${PARTS[name].describe}`).join('\n');
    process.stdout.write(`Say what to measure:\n${list}\nSee \`crane bench --help\`.\n`);
    return;
  }
  if (!Number.isInteger(args.runs) || args.runs < 1) {
    throw new UsageError('usage/runs', `--runs ${args.runs}: expected a whole number of 1 or more`, { found: args.runs });
  }
  if (!Number.isInteger(args.maps) || args.maps < 0) {
    throw new UsageError('usage/maps', `--maps ${args.maps}: expected a whole number of 0 or more`, { found: args.maps });
  }
  const json = args.json === undefined ? undefined : openJsonLines('--json', args.json);
  try {
    const machine = describeMachine(await prepareBackend(args.backend));
    const say = (text: string): void => void (args.json === '-' || process.stdout.write(text));
    say(`${machineLine(machine)}\n`);
    const figures: Record<string, unknown> = {};
    for (const name of chosen) {
      const part = await PARTS[name].load();
      const report = await part.run({ runs: args.runs, maps: args.maps, small: args.small, onProgress: createProgressReporter(process.stderr), signal });
      say(`\n${reportText(report)}\n`);
      figures[name] = report.figures;
    }
    json?.write({ schemaVersion: 1, machine, runs: args.runs, ...figures });
  } finally {
    json?.close();
  }
}

function machineLine({ cpu, cores, memoryBytes, backend, tensorflow, threads }: MachineDescription): string {
  const computing = tensorflow === null ? backend : `TensorFlow ${tensorflow}`;
  return `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${formatBytes(memoryBytes)}; ${computing}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}

function reportText({ title, columns, rows }: BenchReport): string {
  return `${title}\n\n${formatTable(columns, rows)}`;
}
