/**
 * The command `crane`. Each subcommand is a yargs module in its own file, loaded only when it is called, so
 * that `crane --help` does not wait for TensorFlow.
 */
import yargs, { type Argv, type CommandModule } from 'yargs';
import { CraneError, UsageError } from '../lib/errors';
import { nearestName } from '../lib/nearest-name';
import { packageVersion } from '../lib/files/version';
import { checkArguments, joinDashes, unknownOption, type DeclaredOptions } from './arguments';
import { askForSetup } from './setup-question';
import { INTERRUPTED } from '../terminal/interrupt';
import { say } from '../terminal/output';
import { shownInLine, withNamesInLine } from '../terminal/terminal-text';

/** A command of a program, with the module that implements it. */
export interface Subcommand {
  readonly name: string;
  readonly describe: string;
  /** Its module, whose `command` defines the positional arguments. */
  readonly load: () => Promise<unknown>;
}

/** In the order of the help text. */
const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: 'start',
    describe: 'Train on one set, find defects in another, and write a report, all on embedded data',
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
    load: async () => (await import('./train')).trainCommand,
  },
  {
    name: 'eval',
    describe: 'Score a set zero-shot and compute its metrics',
    load: async () => (await import('./eval')).evalCommand,
  },
  {
    name: 'metrics',
    describe: "Compute the metrics of any program's anomaly maps",
    load: async () => (await import('./metrics')).metricsCommand,
  },
  {
    name: 'benchmark',
    describe: "Score many sets by the paper's recipes, with time and memory",
    load: async () => (await import('./benchmark')).benchmarkCommand,
  },
  {
    name: 'datasets',
    describe: 'List, check, locate and synthesize data sets',
    load: async () => (await import('./datasets')).datasetsCommand,
  },
  {
    name: 'weights',
    describe: 'List, fetch, inspect and convert weights',
    load: async () => (await import('./weights')).weightsCommand,
  },
  {
    name: 'bench',
    describe: 'Measure speed and memory on this machine',
    load: async () => (await import('./bench/command')).benchCommand,
  },
  {
    name: 'cache',
    describe: 'Show or clear the image features that training keeps',
    load: async () => (await import('./cache')).cacheCommand,
  },
  {
    name: 'setup',
    describe: 'Set up native TensorFlow, with which computing is 5 to 10 times faster',
    load: async () => (await import('./setup')).setupCommand,
  },
  {
    name: 'doctor',
    describe: 'Show which backend is used and why, and what is missing',
    load: async () => (await import('./doctor')).doctorCommand,
  },
];

/** A program whose command lines {@link main} runs. */
export interface Program {
  /** Its name on the command line. */
  readonly name: string;
  readonly about: string;
  readonly subcommands: readonly Subcommand[];
}

const CRANE: Program = {
  name: 'crane',
  about: 'Zero-shot anomaly detection: finds defects in images of objects it has never seen.',
  subcommands: SUBCOMMANDS,
};

/** Errors about a command line that names something missing or of the wrong kind. */
const WRONG_USE = new Set([
  'dataset/folder-missing',
  'dataset/absent',
  'dataset/layout',
  'dataset/unlabelled',
  'backend/unknown',
]);

/**
 * Runs one command line.
 *
 * @param argv the arguments after the program's name.
 * @param program default: `crane`.
 * @returns the exit code: 0 success, 1 some inputs failed, 2 usage error, 130 stopped by Ctrl-C.
 */
export async function main(argv: readonly string[], program: Program = CRANE): Promise<number> {
  process.exitCode = undefined;
  try {
    if (program === CRANE && (await askForSetup(argv))) await (await import('./setup')).runSetup({});
    await (await parserFor(joinDashes(argv), program)).parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    say(describeError(error, argv.includes('--verbose')));
    return exitCodeOf(error);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 2;
  if (!(error instanceof CraneError)) return 1;
  return error.code === INTERRUPTED ? 130 : WRONG_USE.has(error.code) ? 2 : 1;
}

async function parserFor(argv: readonly string[], program: Program): Promise<Argv> {
  const { name: scriptName, about, subcommands } = program;
  const asked = argv[0];
  if (asked !== undefined && !asked.startsWith('-') && !subcommands.some(({ name }) => name === asked))
    throw unknownCommand(asked, subcommands);
  const parser: Argv = yargs([...argv])
    .scriptName(scriptName)
    .locale('en')
    .usage(`$0 <command> [options]\n\n${about}`)
    .version(packageVersion())
    .option('verbose', {
      type: 'boolean',
      default: false,
      global: true,
      describe: 'TensorFlow log lines, and stack traces of errors',
    })
    .option('offline', { type: 'boolean', default: false, global: true, describe: 'Do not use the network' })
    .option('allow-private-urls', {
      type: 'boolean',
      default: false,
      global: true,
      describe: 'Allow downloads from private networks',
    })
    .middleware((args) => {
      if (args.offline) process.env['CRANE_OFFLINE'] = '1';
      if (args.allowPrivateUrls) process.env['CRANE_ALLOW_PRIVATE_URLS'] = '1';
      if (args.verbose) process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '0';
    }, true)
    .middleware((args) => checkArguments(args, declaredBy(parser), argv))
    .demandCommand(1, 'Name a command.')
    .strict()
    .recommendCommands()
    .wrap(Math.min(100, process.stdout.columns || 80))
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw error !== undefined && error.name !== 'YError'
        ? error
        : wrongArguments(error?.message ?? message, parser, argv, scriptName);
    });
  for (const { name, describe, load } of subcommands) {
    parser.command(name === asked ? asModule(await load()) : { command: name, describe, handler: () => undefined });
  }
  return parser;
}

function unknownCommand(asked: string, subcommands: readonly Subcommand[]): UsageError {
  const known = subcommands.map(({ name }) => name);
  const near = nearestName(asked, known);
  const hint = near === undefined ? '' : ` Did you mean "${near}"?`;
  return new UsageError(
    'usage/command',
    `There is no command "${asked}".${hint} The commands are ${known.join(', ')}.`,
    { found: asked, expected: known },
  );
}

function wrongArguments(found: string | null, parser: Argv, argv: readonly string[], scriptName: string): UsageError {
  let message = unknownOption(found ?? 'Wrong arguments.', declaredBy(parser), argv);
  if (/^Not enough non-option arguments/.test(message)) message = 'An argument is missing after the command.';
  if (/^Invalid JSON config file/.test(message)) message = '--config needs the name of one YAML or JSON file after it.';
  const command = argv.slice(0, 1).filter((word) => !word.startsWith('-'));
  return new UsageError(
    'usage/arguments',
    `${message.trimEnd()}\nSee \`${[scriptName, ...command, '--help'].join(' ')}\`.`,
  );
}

/** yargs has this, but its types lack it. */
function declaredBy(parser: Argv): DeclaredOptions {
  return (parser as unknown as { getOptions(): DeclaredOptions }).getOptions();
}

/** Options differ between commands; yargs checks them itself. */
function asModule(loaded: unknown): CommandModule {
  return loaded as CommandModule;
}

function describeError(error: unknown, verbose: boolean): string {
  if (verbose && error instanceof Error) return withCauses(error);
  if (error instanceof CraneError) return withNamesInLine(error.message, Object.values(error.data));
  const message = error instanceof Error ? error.message : String(error);
  return systemSentence(error) ?? `${message}\nThis is an unexpected error; --verbose shows where it happened.`;
}

/** A readable message for a system error about a file; undefined for other errors. */
function systemSentence(error: unknown): string | undefined {
  const { code, syscall, path: file } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined || file === undefined) return undefined;
  const reason = SYSTEM_REASONS[code];
  return reason === undefined
    ? undefined
    : `${shownInLine(file)}: ${reason} (${code}). Check the path, its permissions and the free space. CRANE_CACHE sets another cache folder, CRANE_DATA another folder for sets.`;
}

const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'the system does not allow it',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EIO: 'input/output error',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'there is a file where a folder is needed',
  EEXIST: 'it already exists',
  EISDIR: 'it is a folder',
  EMFILE: 'too many files are open',
  ELOOP: 'its symbolic links form a loop',
};

function withCauses(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\nCaused by: ${withCauses(error.cause)}` : own;
}
