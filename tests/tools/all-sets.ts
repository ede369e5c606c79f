/**
 * Every registered set from end to end, on drawn stand-ins: written in a form, checked, trained on for an epoch, and
 * evaluated with those prompts by the embedded backbone. Takes about two minutes for a form:
 *
 *   node -r ts-node/register/transpile-only tests/tools/all-sets.ts FOLDER [native|meta-json|packed …]
 */
import * as path from 'node:path';
import { formatTable } from '../../terminal/table';
import { checkDataset } from '../../datasets/check';
import { openDataset } from '../../datasets/dataset';
import { standInForms, standInNames, writeStandIn, type StandInForm, type StandInOptions } from '../../tools/stand-ins';
import { evaluate } from '../../eval/evaluator';
import type { Evaluation } from '../../eval/evaluation';
import { Crane } from '../../index';
import { runTraining } from '../../train/run';

export interface SetRun {
  readonly name: string;
  readonly form: StandInForm;
  readonly layout: string;
  /** What the check found, but for the note that the set is drawn. */
  readonly problems: readonly string[];
  /** Losses of the epoch. */
  readonly losses: Readonly<Record<'focal' | 'dice' | 'image' | 'total', number>>;
  readonly evaluation: Evaluation;
}

/** Check, train and evaluate one set. Prompts trained on it are used on it: this proves that it works, not how well. */
export async function throughOneSet(name: string, folder: string, options: StandInOptions = {}): Promise<SetRun> {
  const form = options.form ?? 'native';
  const { root } = await writeStandIn(name, path.join(folder, form), options);
  const dataset = await openDataset(root);
  const { problems } = await checkDataset(dataset);
  const trained = await runTraining({
    auxiliary: [root],
    training: { epochs: 1, ...(dataset.hasMasks ? {} : { pixelWeight: 0 }) },
    out: path.join(folder, 'runs', form, name),
  });
  const crane = await Crane.load({ prompts: trained.prompts });
  try {
    const evaluation = await evaluate(crane, dataset);
    const [epoch] = trained.epochs;
    if (epoch === undefined) throw new Error(`training on ${name} recorded no epoch`);
    const { focal, dice, image, total } = epoch;
    return {
      name,
      form,
      layout: dataset.layout,
      problems: problems.filter(({ kind }) => kind !== 'drawn').map(({ message }) => message),
      losses: { focal, dice, image, total },
      evaluation,
    };
  } finally {
    crane.dispose();
  }
}

async function main([folder, ...forms]: readonly string[]): Promise<void> {
  if (folder === undefined) throw new Error('name a folder for the sets and runs');
  const rows: string[][] = [];
  for (const form of standInForms.filter((candidate) => forms.length === 0 || forms.includes(candidate))) {
    for (const name of standInNames) {
      const began = performance.now();
      const { layout, problems, losses, evaluation } = await throughOneSet(name, path.resolve(folder), {
        form,
        imagesPerCategory: 4,
      });
      const { mean, failures, categories } = evaluation;
      const images = categories.reduce((sum, category) => sum + category.images, 0);
      const percent = (id: 'image/auroc' | 'pixel/auroc'): string =>
        mean[id] === null ? 'n/a' : (100 * mean[id]).toFixed(1);
      rows.push([
        form,
        name,
        layout,
        String(images),
        losses.total.toFixed(3),
        percent('image/auroc'),
        percent('pixel/auroc'),
        ((performance.now() - began) / 1000).toFixed(1),
      ]);
      process.stdout.write(`${rows.at(-1)?.join('  ')}\n`);
      if (problems.length + failures.length > 0) {
        process.exitCode = 1;
        process.stdout.write(`  ${[...problems, ...failures.map(({ message }) => message)].join('\n  ')}\n`);
      }
    }
  }
  const columns = ['form', 'set', 'layout', 'images', 'loss', 'I-AUROC', 'P-AUROC', 'seconds'].map(
    (title, index) => ({ title, align: index > 2 ? 'right' : 'left' }) as const,
  );
  process.stdout.write(`\n${formatTable(columns, rows)}\n`);
}

if (require.main === module) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 1;
  });
}
