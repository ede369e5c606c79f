import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { dataFolder } from '../../datasets/data-folder';
import { drawnSetNames, drawSet, type DrawnSetName } from '../../datasets/ensure-synthetic';
import { UsageError } from '../../lib/errors';
import { withExamples } from '../../terminal/examples';
import { interruptible } from '../../terminal/interrupt';
import { createProgressReporter } from '../../terminal/progress-bar';
import { print, printJson, withJson, type JsonOption } from './print';

interface SynthesizeArguments extends JsonOption {
  names?: string[] | undefined;
  out?: string | undefined;
  seed: number;
}

export const synthesizeCommand: CommandModule<object, SynthesizeArguments> = {
  command: 'synthesize [names..]',
  describe: `Write the synthetic sets ${drawnSetNames.join(' and ')}`,
  builder: (yargs) =>
    withExamples(
      withJson(yargs)
        .positional('names', { type: 'string', array: true, describe: `${drawnSetNames.join(' or ')}; default: both` })
        .option('out', {
          type: 'string',
          defaultDescription: 'the data folder',
          describe: 'Folder to write the sets into; an existing synthetic set of the same name is replaced',
        })
        .option('seed', {
          type: 'number',
          default: 0,
          describe: 'Seed; another one gives different images of the same kinds',
        }) as never,
      [
        ['the two sets that npm start uses', 'crane datasets synthesize'],
        ['one of them, with other images', 'crane datasets synthesize synthetic-target --seed 7 --out /tmp/other'],
      ],
    ) as never,
  handler: async ({ names = [], out, seed, json }) => {
    const wanted = namesOf(names);
    const folder = path.resolve(out ?? dataFolder());
    const onProgress = createProgressReporter(process.stderr, { json });
    const folders = await interruptible(async (signal) => {
      const written: string[] = [];
      for (const name of wanted) written.push(await drawSet(name, folder, { seed, onProgress, signal }));
      return written;
    });
    if (json) return printJson({ seed, folders });
    folders.forEach(print);
  },
};

function namesOf(names: readonly string[]): readonly DrawnSetName[] {
  const wanted = names.map((name) => name.toLowerCase());
  const unknown = wanted.filter((name) => !drawnSetNames.some((drawn) => drawn === name));
  if (unknown.length > 0) {
    throw new UsageError(
      'synthetic/name',
      `there is no synthetic set "${unknown.join(', ')}"; the known ones are ${drawnSetNames.join(' and ')}. ` +
        'To try commands on stand-ins for the registered sets, use a checkout: npm run stand-ins -- --help',
      { unknown },
    );
  }
  return wanted.length === 0 ? drawnSetNames : drawnSetNames.filter((name) => wanted.includes(name));
}
