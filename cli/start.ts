import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { openDataset, type Dataset, type Sample } from '../datasets/dataset';
import { ensureSynthetic } from '../datasets/ensure-synthetic';
import { auxiliarySetName, targetSetName } from '../datasets/registry';
import { evaluateToFolder, tableText } from './eval';
import { resultsOf, type DatasetResult } from '../eval/results';
import { BACKEND_CHOICES, prepareBackend, type BackendChoice } from '../lib/backend';
import { Crane } from '../lib/crane';
import { readFrame } from '../lib/image/decode';
import { loadMaskAtOwnSize } from '../lib/image/preprocess';
import { train } from '../train/training-run';
import { interruptible } from '../terminal/interrupt';
import { prepareFolder, print as say } from '../terminal/output';
import { createProgressReporter } from '../terminal/progress-bar';

interface StartArguments {
  out: string;
  seed: number;
  epochs: number;
  backend: BackendChoice;
}

/** How many overlays of each kind of object are written beside the report. */
const OVERLAYS_PER_CATEGORY = 2;

/**
 * `crane start`: the whole method on synthetic data from the package. Trains prompts on one set, then finds defects in
 * another whose objects, and some of whose kinds of defects, it has never seen.
 */
export const startCommand: CommandModule<object, StartArguments> = {
  command: 'start',
  describe: 'Train on one set, find defects in another, and write a report, all on embedded data',
  builder: (argv) =>
    argv
      .option('out', {
        type: 'string',
        default: path.join('results', 'start'),
        describe: 'folder for prompts, heatmaps and report',
      })
      .option('seed', { type: 'number', default: 111, describe: 'seed of all random numbers' })
      .option('epochs', { type: 'number', default: 5, describe: 'passes over the auxiliary set' })
      .option('backend', {
        choices: BACKEND_CHOICES,
        default: 'auto' as BackendChoice,
        describe: 'backend to compute with',
      }),
  handler: async (args) => {
    process.exitCode = await interruptible((signal) => start(args, signal));
  },
};

async function start({ out, seed, epochs, backend }: StartArguments, signal: AbortSignal): Promise<number> {
  prepareFolder('--out', out);
  const onProgress = createProgressReporter(process.stderr);
  const { name, reason, warning } = await prepareBackend(backend);
  say(`Computing on ${name}: ${reason}`);
  if (warning !== null) say(warning);

  say('\n1. Write two synthetic sets of images: one to learn from, and one of objects that the model has never seen.');
  await ensureSynthetic(auxiliarySetName, { onProgress, signal });
  await ensureSynthetic(targetSetName, { onProgress, signal });
  const auxiliary = await openDataset(auxiliarySetName);
  const target = await openDataset(targetSetName);
  say(`   ${auxiliarySetName}: ${contents(auxiliary)}`);
  say(`   ${targetSetName}: ${contents(target)}`);

  say(`\n2. Train prompts on ${auxiliarySetName}.`);
  const trained = await train({
    auxiliary: auxiliarySetName,
    training: { seed, epochs },
    out: path.join(out, 'prompts'),
    backend,
    // Each start begins anew, even after an interrupted one.
    overwrite: true,
    commandLine: `crane start --seed ${seed} --epochs ${epochs}`,
    onProgress,
    signal,
  }).result;

  say(`\n3. Find defects in ${targetSetName}, zero-shot.`);
  const crane = await Crane.load({ prompts: trained.prompts, backend });
  try {
    const command = `crane start --seed ${seed} --epochs ${epochs}`;
    const evaluation = await evaluateToFolder(crane, target, { out, command, report: true, onProgress, signal });
    const results = resultsOf([evaluation], crane.description, command);
    say(tableText(results.datasets[0] as DatasetResult));
    await writeOverlays(crane, target, path.join(out, 'heatmaps'));
    say(`\nReport:    ${path.resolve(out, 'report.html')}`);
    say(`Heatmaps:  ${path.resolve(out, 'heatmaps')}`);
    say(`Prompts:   ${path.resolve(trained.prompts)}`);
    say(`\nNext, on your own images:  npx crane detect photo.png --out results`);
    return evaluation.failures.length > 0 ? 1 : 0;
  } finally {
    crane.dispose();
  }
}

function contents({ categories }: Dataset): string {
  const samples = categories.flatMap((category) => category.samples);
  const anomalous = samples.filter((sample) => sample.anomalous).length;
  return `${categories.length} categories, ${samples.length} images, ${anomalous} of them anomalous`;
}

/**
 * Overlays of a few anomalous images of each category, with the true mask's outline, named after category and defect.
 */
async function writeOverlays(crane: Crane, { categories }: Dataset, folder: string): Promise<void> {
  const chosen = new Map<string, Sample>();
  categories.forEach(({ samples }, place) => {
    const anomalous = samples.filter((sample) => sample.anomalous);
    const step = Math.max(1, Math.floor(anomalous.length / OVERLAYS_PER_CATEGORY));
    for (let index = 0; index < OVERLAYS_PER_CATEGORY; index++) {
      // Different kinds of defects for each category, so that the folder shows most of them.
      const sample = anomalous[(index * step + 3 * place) % anomalous.length];
      if (sample) chosen.set(sample.imagePath, sample);
    }
  });
  for await (const { source, map, score } of crane.stream(chosen.keys())) {
    const { category, defect, maskPath } = chosen.get(source) as Sample;
    const mask =
      maskPath === null ? {} : { mask: await loadMaskAtOwnSize(maskPath, { image: await readFrame(source) }) };
    await map.save(path.join(folder, `${category}-${defect}.png`), { score, ...mask });
  }
}
