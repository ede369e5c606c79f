import type { CommandModule } from 'yargs';
import yargs from 'yargs';
import { CraneError, UsageError } from '../lib/errors';

interface Entry {
  readonly describe: string;
  /** Command modules load TensorFlow.js; only the one that is called is loaded, so that help is quick. */
  readonly load: () => Promise<CommandModule<object, never>>;
}

/** All commands, in the order in which help lists them. */
const COMMANDS: Readonly<Record<string, Entry>> = {
  start: {
    describe: 'Train on one set, find defects in another, write a report: all on embedded data',
    load: async () => (await import('./start')).startCommand as CommandModule<object, never>,
  },
  detect: {
    describe: 'Find defects in images or folders of images',
    load: async () => (await import('./detect')).detectCommand as CommandModule<object, never>,
  },
  train: {
    describe: 'Train prompts on an auxiliary set',
    load: async () => (await import('../train/command')).trainCommand as CommandModule<object, never>,
  },
  eval: {
    describe: 'Score a set zero-shot and compute its metrics',
    load: async () => (await import('../eval/command')).evalCommand as CommandModule<object, never>,
  },
  datasets: {
    describe: 'List, check, locate and synthesize data sets',
    load: async () => (await import('../datasets/command')).datasetsCommand as CommandModule<object, never>,
  },
  weights: {
    describe: 'List, fetch, inspect and convert weights',
    load: async () => (await import('./weights')).weightsCommand as CommandModule<object, never>,
  },
  pretrain: {
    describe: 'Pretrain the embedded backbone on drawn images',
    load: async () => (await import('../train/pretraining/command')).pretrainCommand as CommandModule<object, never>,
  },
  doctor: {
    describe: 'Say what this installation uses, and what to do about what is missing',
    load: async () => (await import('./doctor')).doctorCommand as CommandModule<object, never>,
  },
};

/** Exit codes that programs may rely on. */
const EXIT = { success: 0, someFailed: 1, wrongUse: 2 } as const;

/**
 * Runs one command line.
 * @param argv without node and the script
 * @returns the exit code: 0 success, 1 some inputs failed or the run failed, 2 wrong use
 */
export async function main(argv: readonly string[]): Promise<number> {
  const verbose = argv.includes('--verbose');
  try {
    const name = argv.find((argument) => !argument.startsWith('-'));
    const entry = name === undefined ? undefined : COMMANDS[name];
    if (name !== undefined && entry === undefined) throw unknownCommand(name);
    let parser = yargs([...argv])
      .scriptName('crane')
      .usage('$0 <command> [options]\n\nZero-shot anomaly detection: find defects in images of things never seen before.')
      .option('verbose', { type: 'boolean', default: false, describe: "show stack traces and TensorFlow's own log lines" })
      .strict()
      .demandCommand(1, 'Name a command; "crane --help" lists them.')
      .recommendCommands()
      .wrap(Math.min(110, process.stdout.columns ?? 100))
      .exitProcess(false)
      .fail((message, error) => {
        throw error instanceof Error ? error : new UsageError('usage', `${message}\nSee "crane ${name ?? ''} --help".`.replace('crane  ', 'crane '));
      });
    if (entry) parser = parser.command(await entry.load());
    else for (const [command, { describe }] of Object.entries(COMMANDS)) parser = parser.command(command, describe);
    process.exitCode = EXIT.success;
    await parser.parseAsync();
    return Number(process.exitCode);
  } catch (error) {
    return explain(error, verbose);
  }
}

function unknownCommand(name: string): UsageError {
  return new UsageError('usage/command', `"${name}" is no command. Commands: ${Object.keys(COMMANDS).join(', ')}. See "crane --help".`, { found: name });
}

function explain(error: unknown, verbose: boolean): number {
  const known = error instanceof CraneError;
  const text = error instanceof Error ? (verbose ? error.stack : error.message) : String(error);
  process.stderr.write(`${text}\n`);
  if (!known && !verbose) process.stderr.write('This was not foreseen; run again with --verbose for where it happened.\n');
  return error instanceof UsageError ? EXIT.wrongUse : EXIT.someFailed;
}
