import * as fs from 'node:fs';
import * as path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { GENERATOR_VERSION } from '../../datasets/synthetic/draw';
import { prepareBackend } from '../../lib/backend';
import { TrainingError } from '../../lib/errors';
import { ClipTokenizer } from '../../lib/prompts/tokenizer';
import { clipMetadata } from '../../lib/weights/clip-weights';
import { openTensorsSync } from '../../lib/weights/open';
import { writeSafetensors } from '../../lib/weights/safetensors';
import { Adam } from '../../train/adam';
import { BatchFeed } from './batch-feed';
import { drawPoolPair, makeBatch } from './batches';
import { decays, initialParameters, NanoNetwork, savedParameters } from './network';
import { drawProbe, runProbe, type ProbeFigures } from './probe';
import { learningRateAt, NANO_SIZES, type Cycle, type Recipe } from './recipe';
import { lossAndGradients, type StepLosses } from './step';
import { vocabularyIds } from './texts';
import { whitenedKernel } from './whitening';

export interface PretrainingOptions {
  readonly recipe: Recipe;
  /** Where the state and the log are kept. */
  readonly folder: string;
  /** Resume from the state in the folder, if there is one. */
  readonly resume: boolean;
  readonly saveEvery: number;
  /** Steps between measurements on unseen families; 0 for none. */
  readonly probeEvery: number;
  /** Images in each of the probe's three groups. */
  readonly probeSize: number;
  readonly onStep?: (report: StepReport) => void;
  readonly onProbe?: (step: number, figures: ProbeFigures) => void;
  readonly onResume?: (step: number) => void;
  /** Stops after the current step, with the state saved. */
  readonly signal?: AbortSignal;
}

export interface StepReport {
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  readonly losses: StepLosses;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly seconds: number;
}

const STATE_FILE = 'state.safetensors';

/**
 * Pretrains the embedded backbone on synthetic images. The result depends only on the recipe: images, batches
 * and prompts are named by seed and step, so a run that was stopped and resumed equals one that was not.
 * @returns whether all steps are done, and the network, which the caller disposes
 * @throws TrainingError where the saved state belongs to another recipe, or training diverges
 */
export async function pretrain(options: PretrainingOptions): Promise<{ finished: boolean; network: NanoNetwork }> {
  const { recipe, folder } = options;
  await prepareBackend('auto', { synchronousReads: true });
  fs.mkdirSync(folder, { recursive: true });
  const stateFile = path.join(folder, STATE_FILE);
  const { network, adam } = options.resume && fs.existsSync(stateFile) ? restored(stateFile, recipe) : begun(recipe);
  if (adam.step > 0) options.onResume?.(adam.step);

  const tokenizer = ClipTokenizer.embedded();
  const { patchSize } = NANO_SIZES.vision;
  const probe = options.probeEvery > 0 ? drawProbe(options.probeSize) : null;
  const feed = new BatchFeed(recipe, adam.step, patchSize);
  const log = (entry: object): void => fs.appendFileSync(path.join(folder, 'log.jsonl'), `${JSON.stringify(entry)}\n`);
  try {
    while (adam.step < recipe.steps && !options.signal?.aborted) {
      const started = process.hrtime.bigint();
      const step = adam.step;
      const batch = feed.take();
      const { losses, gradients } = lossAndGradients(network, tokenizer, recipe, step, batch);
      const learningRate = learningRateAt(recipe, step);
      const gradientNorm = adam.apply(gradients, learningRate, recipe.clipNorm) as number;
      tf.dispose(gradients);
      network.boundLogitScale();
      const seconds = Number(process.hrtime.bigint() - started) / 1e9;
      log({ step: adam.step, ...losses, learningRate, gradientNorm, size: batch.phase.size, seconds });
      options.onStep?.({ step: adam.step, steps: recipe.steps, losses, learningRate, gradientNorm, seconds });
      const last = adam.step === recipe.steps;
      if (adam.step % options.saveEvery === 0 || last) await save(stateFile, network, adam, recipe);
      if (probe && (adam.step % options.probeEvery === 0 || last)) {
        const figures = runProbe(network, tokenizer, probe);
        log({ step: adam.step, probe: figures });
        options.onProbe?.(adam.step, figures);
      }
      await setImmediate(); // lets signals in
    }
    if (options.signal?.aborted) await save(stateFile, network, adam, recipe);
    return { finished: adam.step >= recipe.steps, network };
  } finally {
    await feed.close();
    adam.dispose();
  }
}

/**
 * Writes the network as other commands load it: in half precision, with everything needed to use it in the metadata.
 */
export function exportNetwork(target: string, network: NanoNetwork, recipe: Recipe): void {
  writeSafetensors(target, network.tensors('float16'), {
    ...clipMetadata(NANO_SIZES, 'quick-gelu'),
    'crane.format': 'backbone',
    'crane.name': 'nano',
    'crane.command': `npm run pretrain -- --seed ${recipe.seed} --steps ${recipe.steps}`,
    'crane.recipe': JSON.stringify(recipe),
    'crane.generator': String(GENERATOR_VERSION),
    'crane.licence': 'MIT',
  });
}

function makeAdam(network: NanoNetwork, recipe: Recipe): Adam {
  return new Adam(network.variables, {
    beta2: 0.98,
    weightDecay: recipe.weightDecay,
    decays: (_, index) => decays(network.names[index] as string),
  });
}

function begun(recipe: Recipe): { network: NanoNetwork; adam: Adam } {
  const { patchSize, width } = NANO_SIZES.vision;
  const pairs = new Map<number, ReturnType<typeof drawPoolPair>>();
  const first = makeBatch(recipe, 0, patchSize, (index) => {
    const pair = pairs.get(index) ?? drawPoolPair(recipe, index);
    pairs.set(index, pair);
    return pair;
  });
  const kernel = whitenedKernel(first.images, first.phase.batch, first.phase.size, patchSize, width);
  const network = new NanoNetwork(initialParameters(recipe.seed, kernel), vocabularyIds());
  return { network, adam: makeAdam(network, recipe) };
}

async function save(file: string, network: NanoNetwork, adam: Adam, recipe: Recipe): Promise<void> {
  const { step, first, second } = await adam.state();
  writeSafetensors(
    file,
    {
      ...network.tensors('float32'),
      'optimizer.first': { dtype: 'float32', shape: [first.length], data: first },
      'optimizer.second': { dtype: 'float32', shape: [second.length], data: second },
    },
    { step: String(step), recipe: JSON.stringify(recipe) },
  );
}

function restored(file: string, recipe: Recipe): { network: NanoNetwork; adam: Adam } {
  const source = openTensorsSync(file);
  try {
    const step = Number(source.metadata['step']);
    refuseOtherRecipe(JSON.parse(source.metadata['recipe'] ?? '{}') as Recipe, recipe, step, file);
    const network = new NanoNetwork(
      savedParameters(source),
      [...source.readIntegers('token_embedding.ids')],
      source.read('logit_scale')[0] as number,
    );
    const adam = makeAdam(network, recipe);
    adam.restore({ step, first: source.read('optimizer.first'), second: source.read('optimizer.second') });
    return { network, adam };
  } finally {
    source.close();
  }
}

/** The number of steps may change while the learning rate is constant: until then, runs of any length are the same. */
function refuseOtherRecipe(saved: Recipe, wanted: Recipe, step: number, file: string): void {
  const lengthFits = saved.steps === wanted.steps || step <= (wanted.cycles.at(-1) as Cycle).decayFrom;
  if (JSON.stringify({ ...saved, steps: 0 }) === JSON.stringify({ ...wanted, steps: 0 }) && lengthFits) return;
  throw new TrainingError(
    'training/recipe',
    `${file} is the state of another run (seed ${saved.seed}, ${saved.steps} steps, stopped at ${step}); ` +
      'use the same seed and steps, or start afresh with `resume: false`',
    { saved, wanted },
  );
}
