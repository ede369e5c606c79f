import { main, type Program } from '../cli/crane';

/** Tools for making the package, not shipped with it. */
const TOOLS: Program = {
  name: 'npm run',
  about: 'Tools of a checkout; each is an npm script, with its options after `--`.',
  subcommands: [
    {
      name: 'pretrain',
      describe: 'Pretrain the embedded backbone on synthetic images',
      load: async () => (await import('./pretraining/command')).pretrainCommand,
    },
    {
      name: 'stand-ins',
      describe: 'Write small synthetic stand-ins for registered sets',
      load: async () => (await import('./stand-ins/command')).standInsCommand,
    },
  ],
};

/** Runs a tool's command line, such as `['pretrain', '--seed', '1']`. @returns the exit code, as `crane`'s */
export function runTool(argv: readonly string[]): Promise<number> {
  return main(argv, TOOLS);
}
