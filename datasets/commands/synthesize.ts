import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { withExamples } from '../../cli/examples';
import { interruptible } from '../../cli/interrupt';
import { createProgressReporter } from '../../cli/progress-bar';
import { UsageError } from '../../lib/errors';
import { dataFolder } from '../data-folder';
import { drawnSetNames, drawSet } from '../ensure-synthetic';
import { fakeForms, fakeSetNames, writeFakeSet, type FakeForm } from '../fakes';
import { print, printJson, withJson, type JsonOption } from './print';

interface SynthesizeArguments extends JsonOption {
  names?: string[] | undefined;
  out?: string | undefined;
  seed: number;
  form: FakeForm;
  imagesPerCategory: number;
  imageSize: number;
}

export const synthesizeCommand: CommandModule<object, SynthesizeArguments> = {
  command: 'synthesize [names..]',
  describe: `Write ${drawnSetNames.join(' and ')}, or small synthetic stand-ins for registered sets`,
  builder: (yargs) =>
    withExamples(
      withJson(yargs)
        .positional('names', {
          type: 'string',
          array: true,
          describe: `Without names: ${drawnSetNames.join(' and ')}. Names of real sets, or "all": a small synthetic stand-in for each in its own layout, to try commands on`,
        })
        .option('out', {
          type: 'string',
          defaultDescription: 'the data folder; none for stand-ins',
          describe: 'Folder to write the sets into; a synthetic set of that name there is replaced',
        })
        .option('seed', { type: 'number', default: 0, describe: 'Another seed gives other images of the same kinds' })
        .option('form', {
          type: 'string',
          choices: fakeForms,
          default: 'native',
          describe: 'Stand-ins as distributed, with the meta.json of the reference scripts, or as re-packed by AdaCLIP',
        })
        .option('images-per-category', {
          type: 'number',
          default: 6,
          describe: 'Images of each category of a stand-in',
        })
        .option('image-size', {
          type: 'number',
          default: 96,
          describe: 'Width and height of the images of a stand-in, in pixels',
        }) as never,
      [
        ['the two sets that npm start uses', 'crane datasets synthesize'],
        ['all fourteen, to try a benchmark on', 'crane datasets synthesize all --out /tmp/fakes'],
        [
          'one of them, more and larger',
          'crane datasets synthesize visa --out /tmp/fakes --images-per-category 20 --image-size 256',
        ],
      ],
    ) as never,
  handler: async ({ names = [], out, seed, json, form, imagesPerCategory, imageSize }) => {
    const { drawn, fakes } = sortNames(names);
    // A stand-in in the data folder would be taken for the real set.
    if (fakes.length > 0 && (out === undefined || path.resolve(out) === dataFolder())) {
      throw new UsageError(
        'usage/out',
        `stand-ins for ${fakes.join(', ')} need a separate folder, not the one of the real sets: name one with --out`,
        { names: fakes },
      );
    }
    const folder = path.resolve(out ?? dataFolder());
    const onProgress = createProgressReporter(process.stderr, { json });
    const folders = await interruptible(async (signal) => {
      const written: string[] = [];
      for (const name of drawn) written.push(await drawSet(name, folder, { seed, onProgress, signal }));
      for (const name of fakes)
        written.push(
          (await writeFakeSet(name, folder, { seed, form, imagesPerCategory, imageSize, onProgress, signal })).root,
        );
      return written;
    });
    if (json) return printJson({ seed, folders });
    folders.forEach(print);
    if (fakes.length > 0)
      print(
        `\nThey are synthetic: figures on them say nothing about the real sets. CRANE_DATA=${folder} makes commands find them by name.`,
      );
  },
};

function sortNames(names: readonly string[]): { drawn: (typeof drawnSetNames)[number][]; fakes: string[] } {
  const wanted =
    names.length === 0
      ? [...drawnSetNames]
      : names.includes('all')
        ? [...fakeSetNames]
        : names.map((name) => name.toLowerCase());
  const unknown = wanted.filter(
    (name) => !fakeSetNames.includes(name) && !drawnSetNames.some((drawn) => drawn === name),
  );
  if (unknown.length > 0)
    throw new UsageError(
      'synthetic/name',
      `there is no synthetic set "${unknown.join(', ')}"; known: ${[...drawnSetNames, ...fakeSetNames].join(', ')}, all`,
      { unknown },
    );
  return {
    drawn: drawnSetNames.filter((name) => wanted.includes(name)),
    fakes: fakeSetNames.filter((name) => wanted.includes(name)),
  };
}
