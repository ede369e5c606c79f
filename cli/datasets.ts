import type { CommandModule } from 'yargs';
import { checkCommand } from './datasets/check';
import { fetchCommand } from './datasets/fetch';
import { listCommand } from './datasets/list';
import { synthesizeCommand } from './datasets/synthesize';
import { whereCommand } from './datasets/where';

/** `crane datasets list|check|where|fetch|synthesize`. */
export const datasetsCommand: CommandModule = {
  command: 'datasets',
  describe: 'Known data sets: which are present, whether they are complete, and how to get them',
  builder: (yargs) =>
    yargs
      .command(listCommand)
      .command(checkCommand)
      .command(whereCommand)
      .command(fetchCommand)
      .command(synthesizeCommand)
      .demandCommand(1, 'Choose a command: list, check, where, fetch or synthesize.'),
  handler: () => undefined,
};
