import type { CommandModule } from 'yargs';
import { checkCommand } from './datasets/check';
import { fetchCommand } from './datasets/fetch';
import { listCommand } from './datasets/list';
import { synthesizeCommand } from './datasets/synthesize';
import { whereCommand } from './datasets/where';

/** `crane datasets list|check|where|fetch|synthesize`. */
export const datasetsCommand: CommandModule = {
  command: 'datasets',
  describe: 'Known sets of images: which are there, whether they are whole, how to get them',
  builder: (yargs) =>
    yargs
      .command(listCommand)
      .command(checkCommand)
      .command(whereCommand)
      .command(fetchCommand)
      .command(synthesizeCommand)
      .demandCommand(1, 'Say what to do: list, check, where, fetch or synthesize.'),
  handler: () => undefined,
};
