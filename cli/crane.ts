/**
 * The command `crane`. Each subcommand is a yargs module in its own file, loaded only when it is the one asked for, so
 * that `crane --help` does not wait for TensorFlow.
 */
import yargs, { type Argv, type CommandModule } from 'yargs';
import { CraneError, UsageError } from '../lib/errors';
import { packageVersion } from '../lib/version';

interface Subcommand {
  readonly name: string;
  readonly describe: string;
  /** Its module, whose `command` says what follows the name. */
  readonly load: () => Promise<unknown>;
}

/** In the order of the help text. */
const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: 'start',
    describe: 'Train on one set, find defects in another, write a report: all on embedded data',
    load: async () => (await import('./start')).startCommand,
  },
  {
    name: 'detect',
    describe: 'Find defects in images or folders of images',
    load: async () => (await import('./detect')).detectCommand,
  },
  {
    name: 'train',
    describe: 'Train prompts on an auxiliary set',
    load: async () => (await import('../train/command')).trainCommand,
  },
  {
    name: 'eval',
    describe: 'Score a set zero-shot and compute its metrics',
    load: async () => (await import('../eval/command')).evalCommand,
  },
  {
    name: 'datasets',
    describe: 'List, check, locate and synthesize data sets',
    load: async () => (await import('../datasets/command')).datasetsCommand,
  },
  {
    name: 'weights',
    describe: 'List, fetch, inspect and convert weights',
    load: async () => (await import('./weights')).weightsCommand,
  },
  {
    name: 'pretrain',
    describe: 'Pretrain the embedded backbone on drawn images',
    load: async () => (await import('../train/pretraining/command')).pretrainCommand,
  },
  {
    name: 'doctor',
    describe: 'Show which backend computes and why, and what is missing',
    load: async () => (await import('./doctor')).doctorCommand,
  },
];

/**
 * Runs one command line.
 *
 * @param argv the arguments after `crane`.
 * @returns the exit code: 0 success, 1 some inputs failed, 2 wrong use.
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    await (await parserFor(argv)).parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    process.stderr.write(`${describeError(error, argv.includes('--verbose'))}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function parserFor(argv: readonly string[]): Promise<Argv> {
  const asked = argv[0];
  if (asked !== undefined && !asked.startsWith('-') && !SUBCOMMANDS.some(({ name }) => name === asked)) {
    const known = SUBCOMMANDS.map(({ name }) => name);
    throw new UsageError('cli/command', `There is no command "${asked}"; the commands are ${known.join(', ')}.`, { found: asked, expected: known });
  }
  const parser = yargs([...argv])
    .scriptName('crane')
    .locale('en')
    .usage('$0 <command> [options]\n\nZero-shot anomaly detection: finds defects in images of things it has never seen.')
    .version(packageVersion())
    .option('verbose', { type: 'boolean', default: false, global: true, describe: 'Show TensorFlow log lines, and stack traces of errors' })
    .option('offline', { type: 'boolean', default: false, global: true, describe: 'Use no network' })
    .middleware((args) => {
      if (args.offline) process.env['CRANE_OFFLINE'] = '1';
      if (args.verbose) process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '0';
    }, true)
    .demandCommand(1, 'Name a command.')
    .strict()
    .recommendCommands()
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error ?? new UsageError('cli/arguments', `${message ?? 'Wrong arguments.'}\nSee \`${['crane', ...(asked === undefined ? [] : [asked]), '--help'].join(' ')}\`.`);
    });
  for (const { name, describe, load } of SUBCOMMANDS) {
    parser.command(name === asked ? asModule(await load()) : { command: name, describe, handler: () => undefined });
  }
  return parser;
}

/** A command's options differ from command to command; yargs checks them itself. */
function asModule(loaded: unknown): CommandModule {
  return loaded as CommandModule;
}

function describeError(error: unknown, verbose: boolean): string {
  if (verbose && error instanceof Error) return withCauses(error);
  if (error instanceof CraneError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  return `${message}\nThis was not foreseen; --verbose shows where it happened.`;
}

function withCauses(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\nCaused by: ${withCauses(error.cause)}` : own;
}
