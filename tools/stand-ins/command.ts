import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { dataFolder } from '../../datasets/data-folder';
import { UsageError } from '../../lib/errors';
import { withExamples } from '../../terminal/examples';
import { interruptible } from '../../terminal/interrupt';
import { print, printJson } from '../../terminal/output';
import { createProgressReporter } from '../../terminal/progress-bar';
import { standInForms, standInNames, writeStandIn, type StandInForm } from '.';

interface StandInArguments {
  names?: string[] | undefined;
  out: string;
  seed: number;
  form: StandInForm;
  imagesPerCategory: number;
  imageSize: number;
  json: boolean;
}

/** `npm run stand-ins`: small synthetic sets in the layouts of the real ones, for trying commands. */
export const standInsCommand: CommandModule<object, StandInArguments> = {
  command: 'stand-ins [names..]',
  describe: "Write small synthetic stand-ins for registered sets, each in the real set's layout",
  builder: (yargs) =>
    withExamples(
      yargs
        .positional('names', {
          type: 'string',
          array: true,
          describe: `Names of real sets; default: all of ${standInNames.join(', ')}`,
        })
        .option('out', {
          type: 'string',
          demandOption: true,
          describe: 'Folder to write them into; not the data folder, which is for the real sets',
        })
        .option('seed', {
          type: 'number',
          default: 0,
          describe: 'Seed; another one gives different images of the same kinds',
        })
        .option('form', {
          type: 'string',
          choices: standInForms,
          default: 'native',
          describe: 'As distributed, with the meta.json of the reference scripts, or as repacked by AdaCLIP',
        })
        .option('images-per-category', { type: 'number', default: 6, describe: 'Test images per category' })
        .option('image-size', { type: 'number', default: 96, describe: 'Width and height of the images, in pixels' })
        .option('json', { type: 'boolean', default: false, describe: 'Print one JSON object' }) as never,
      [
        ['all fourteen, for trying a benchmark', 'npm run stand-ins -- --out /tmp/stand-ins'],
        [
          'one of them, with more and larger images',
          'npm run stand-ins -- visa --out /tmp/stand-ins --images-per-category 20 --image-size 256',
        ],
      ],
    ) as never,
  handler: async ({ names = [], out, seed, json, form, imagesPerCategory, imageSize }) => {
    const wanted = namesOf(names);
    const folder = path.resolve(out);
    // A stand-in in the data folder would be mistaken for the real set.
    if (folder === dataFolder()) {
      throw new UsageError(
        'usage/out',
        `--out ${out}: the real sets are there; choose another folder for the stand-ins for ${wanted.join(', ')}`,
        { names: wanted },
      );
    }
    const onProgress = createProgressReporter(process.stderr, { json });
    const folders = await interruptible(async (signal) => {
      const written: string[] = [];
      for (const name of wanted) {
        const options = { seed, form, imagesPerCategory, imageSize, onProgress, signal };
        written.push((await writeStandIn(name, folder, options)).root);
      }
      return written;
    });
    if (json) return printJson({ seed, folders });
    folders.forEach(print);
    print(
      `\nTheir images are synthetic: figures on them say nothing about the real sets. CRANE_DATA=${folder} makes commands find them by name.`,
    );
  },
};

function namesOf(names: readonly string[]): readonly string[] {
  const wanted = names.map((name) => name.toLowerCase());
  const unknown = wanted.filter((name) => !standInNames.includes(name));
  if (unknown.length > 0) {
    throw new UsageError(
      'synthetic/name',
      `there is no stand-in for "${unknown.join(', ')}"; known: ${standInNames.join(', ')}`,
      { unknown },
    );
  }
  return wanted.length === 0 ? standInNames : standInNames.filter((name) => wanted.includes(name));
}
