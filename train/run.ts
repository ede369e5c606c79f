import { createHash } from 'node:crypto';
import * as path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { writeFileAtomically } from '../lib/atomic-file';
import { prepareBackend, type BackendChoice } from '../lib/backend';
import { completeModelOptions, type ModelOptions, type ModelOptionsInput } from '../lib/config';
import { DatasetError, TrainingError, UsageError } from '../lib/errors';
import { EMBEDDED_BACKBONE, openBackbone, type Backbone } from '../lib/methods/crane/backbone';
import { buildCraneModel } from '../lib/methods/crane/build';
import type { CraneModel } from '../lib/methods/crane/model';
import { openPrompts, optionsOfPrompts } from '../lib/methods/crane/prompts';
import type { OnProgress } from '../lib/progress';
import { isFinitePrompts, writePromptCheckpoint, type PromptCheckpoint } from '../lib/weights/prompt-checkpoint';
import { openDataset, type Dataset, type Sample } from '../datasets/dataset';
import { ensureSynthetic } from '../datasets/ensure-synthetic';
import { disposeBatch, FeatureStore, type FeaturePrecision } from './feature-store';
import { completeTrainingOptions, type TrainingOptions, type TrainingOptionsInput } from './options';
import { defaultRunFolder, hashOfFiles, promptMetadata, versionsInUse, type RunRecord } from './run-record';
import { epochBatches } from './shuffle';
import { PromptTrainer, type StepLosses } from './trainer';

export interface TrainOptions {
  /** The auxiliary set: a registered name or a folder. A drawn set that is not there is drawn. */
  readonly auxiliary: string;
  /** Only these categories of it. Default: all. */
  readonly categories?: readonly string[];
  /** `nano` (embedded, the default), a registered name, or a file or folder. */
  readonly backbone?: string;
  /** Prompts to go on from; by default fresh ones are drawn from the seed. */
  readonly prompts?: string;
  readonly model?: ModelOptionsInput;
  readonly training?: TrainingOptionsInput;
  /** Folder for what is written. Default: `checkpoints/runs/<set>-<seed>-<hash>` in the working folder. */
  readonly out?: string;
  readonly backend?: BackendChoice;
  readonly offline?: boolean;
  readonly referenceImages?: boolean;
  /** How features are kept while training. Default: by their number, see `FeatureStore`. */
  readonly precision?: FeaturePrecision;
  /** Stored with the prompts. */
  readonly commandLine?: string;
  readonly onProgress?: OnProgress;
  /** Stops the run between two steps; what was saved stays. */
  readonly signal?: AbortSignal;
}

/** Losses of one epoch, means over its images. */
export interface EpochRecord extends StepLosses {
  readonly epoch: number;
  /** Prompts as they were at its end. */
  readonly file: string;
}

export interface TrainingResult {
  readonly folder: string;
  /** The prompts after the last epoch. */
  readonly prompts: string;
  readonly epochs: readonly EpochRecord[];
  readonly record: RunRecord;
  readonly seconds: { readonly encode: number; readonly train: number };
}

/**
 * Trains prompts on an auxiliary set (paper section 3; spec 8.5): encodes every image once with the frozen encoder, then
 * runs the epochs on the features. Writes `epoch_N.safetensors`, `prompts.safetensors` and `run.json`.
 * @throws DatasetError for a set that is not there; TrainingError `training/empty`, `training/no-anomalous`,
 *   `training/no-masks`, `training/diverged`, `training/unwritable`; UsageError for options; WeightsError and
 *   ImageError for files; the signal's reason
 */
export async function train(options: TrainOptions): Promise<TrainingResult> {
  const { onProgress, signal } = options;
  const access = {
    ...(options.offline === undefined ? {} : { offline: options.offline }),
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  };
  const { dataset, samples } = await openAuxiliarySet(options);
  const backend = await prepareBackend(options.backend ?? 'auto');
  const backbone = await openBackbone(options.backbone ?? EMBEDDED_BACKBONE, access);
  let model: CraneModel | undefined;
  let trainer: PromptTrainer | undefined;
  try {
    const start = options.prompts === undefined ? undefined : await openPrompts(options.prompts, access);
    const inherited = start === undefined ? {} : optionsOfPrompts(start, backbone.sizes);
    const modelOptions = completeModelOptions({ ...inherited, ...options.model }, backbone.sizes);
    const training = completeTrainingOptions(options.training ?? {}, modelOptions);
    refuseImpossible(dataset, backbone, modelOptions, training);
    model = buildCraneModel(backbone, { prompts: start ?? { seed: training.seed }, options: modelOptions, trainablePrompts: true });
    const preprocessing = { ...backbone.preprocessing, reference: options.referenceImages ?? backbone.preprocessing.reference };

    const began = performance.now();
    const features = await FeatureStore.encode(model, samples, {
      preprocessing,
      interpolation: training.interpolation,
      ...(options.precision ? { precision: options.precision } : {}),
      ...(onProgress ? { onProgress } : {}),
      ...(signal ? { signal } : {}),
    });
    // From here on only the text side computes; of a large network this frees most of its memory.
    model.vision.dispose();
    const encoded = performance.now();

    const record: RunRecord = {
      auxiliary: {
        name: dataset.name,
        categories: dataset.categories.map(({ name }) => name),
        images: samples.length,
        anomalous: samples.filter(({ anomalous }) => anomalous).length,
        files: hashOfFiles(dataset, samples),
      },
      backbone: { name: backbone.name, sha256: await backbone.sha256() },
      start: start === undefined ? null : { name: path.basename(options.prompts as string), sha256: hashOfPrompts(start) },
      options: modelOptions,
      preprocessing,
      precision: features.precision,
      training,
      versions: versionsInUse(backend),
      commandLine: options.commandLine ?? null,
    };
    trainer = new PromptTrainer(model, training);
    const folder = options.out === undefined ? defaultRunFolder(record) : path.resolve(options.out);
    const epochs = await runEpochs({ features, trainer, record, folder, ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) });
    const seconds = { encode: (encoded - began) / 1000, train: (performance.now() - encoded) / 1000 };
    await writeRunFile(folder, record, epochs, seconds);
    return { folder, prompts: path.join(folder, 'prompts.safetensors'), epochs, record, seconds };
  } finally {
    backbone.close();
    trainer?.dispose();
    model?.dispose();
  }
}

async function openAuxiliarySet(options: TrainOptions): Promise<{ dataset: Dataset; samples: readonly Sample[] }> {
  const { auxiliary, categories, onProgress, signal } = options;
  await ensureSynthetic(auxiliary, { ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) });
  const dataset = await openDataset(auxiliary, categories ? { categories } : {});
  const samples = dataset.categories.flatMap((category) => category.samples);
  if (samples.length === 0) {
    throw new DatasetError('training/empty', `${dataset.root} holds no test images to train on`, { root: dataset.root });
  }
  if (!samples.some(({ anomalous }) => anomalous)) {
    throw new TrainingError(
      'training/no-anomalous',
      `none of the ${samples.length} images in ${dataset.root} is anomalous; prompts are learned from images of both kinds. ` +
        'Check the set with "crane datasets check"',
      { root: dataset.root, images: samples.length },
    );
  }
  return { dataset, samples };
}

function refuseImpossible(dataset: Dataset, { name, sizes }: Backbone, model: ModelOptions, training: TrainingOptions): void {
  if (!dataset.hasMasks && training.pixelWeight > 0) {
    throw new TrainingError(
      'training/no-masks',
      `${dataset.root} has labels per image only, but the pixel losses need masks; choose a set with masks, or train on image labels alone with --pixel-weight 0`,
      { root: dataset.root },
    );
  }
  const withContext = training.contextProbability > 0 && model.contextPosition !== 'none';
  if (withContext && sizes.embedDimension !== sizes.text.width) {
    throw new UsageError(
      'training/context-width',
      `image context needs a text encoder as wide as the shared space, but ${name} has ${sizes.text.width} and ${sizes.embedDimension}; train with --no-context`,
      { textWidth: sizes.text.width, embedDimension: sizes.embedDimension },
    );
  }
}

interface EpochsInput {
  readonly features: FeatureStore;
  readonly trainer: PromptTrainer;
  readonly record: RunRecord;
  readonly folder: string;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

async function runEpochs({ features, trainer, record, folder, onProgress, signal }: EpochsInput): Promise<EpochRecord[]> {
  const { epochs, batchSize, seed } = record.training;
  const total = epochs * Math.ceil(features.size / batchSize);
  const records: EpochRecord[] = [];
  let done = 0;
  onProgress?.({ kind: 'start', task: 'train', total, unit: 'steps' });
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const sums = { focal: 0, dice: 0, image: 0, total: 0 };
    let images = 0;
    for (const places of epochBatches(features.size, batchSize, seed, epoch)) {
      // The native backend computes without a pause; a signal, such as Ctrl-C, needs one to arrive.
      await setImmediate();
      signal?.throwIfAborted();
      const batch = features.batch(places);
      try {
        const losses = await trainer.step(batch);
        for (const name of ['focal', 'dice', 'image', 'total'] as const) sums[name] += losses[name] * places.length;
        images += places.length;
      } finally {
        disposeBatch(batch);
      }
      done += 1;
      const means = { epoch, loss: sums.total / images, focal: sums.focal / images, dice: sums.dice / images, image: sums.image / images };
      onProgress?.({ kind: 'advance', task: 'train', done, total, values: means });
    }
    const file = path.join(folder, `epoch_${epoch}.safetensors`);
    const checkpoint = promptCheckpoint(await trainer.prompts());
    if (!isFinitePrompts(checkpoint)) {
      throw new TrainingError('training/diverged', `the prompts are no finite numbers after epoch ${epoch}; use a lower learning rate`, { epoch });
    }
    const metadata = promptMetadata(record, epoch);
    writePromptCheckpoint(file, checkpoint, metadata);
    writePromptCheckpoint(path.join(folder, 'prompts.safetensors'), checkpoint, metadata);
    const mean = (sum: number): number => sum / images;
    records.push({ epoch, file, focal: mean(sums.focal), dice: mean(sums.dice), image: mean(sums.image), total: mean(sums.total) });
  }
  onProgress?.({ kind: 'done', task: 'train' });
  return records;
}

/** Trained values, by canonical name, as a checkpoint. */
function promptCheckpoint(values: Readonly<Record<string, { readonly shape: number[]; readonly data: Float32Array }>>): PromptCheckpoint {
  const { ctx_pos: normal, ctx_neg: anomalous, ...rest } = values;
  if (normal === undefined || anomalous === undefined) throw new TrainingError('training/prompts', 'the prompts have no context vectors');
  const deep = Object.keys(rest).map((_, index) => rest[`compound_prompts_text.${index}`] as { shape: number[]; data: Float32Array });
  const [contextTokens = 0, width = 0] = normal.shape;
  return {
    contextNormal: normal.data,
    contextAnomalous: anomalous.data,
    deep: deep.map(({ data }) => data),
    width,
    contextTokens,
    deepTokens: deep[0]?.shape[0] ?? 0,
    depth: deep.length + 1,
    metadata: {},
  };
}

function hashOfPrompts({ contextNormal, contextAnomalous, deep }: PromptCheckpoint): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of [contextNormal, contextAnomalous, ...deep]) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
}

async function writeRunFile(folder: string, record: RunRecord, epochs: readonly EpochRecord[], seconds: TrainingResult['seconds']): Promise<void> {
  const rows = epochs.map(({ file, ...losses }) => ({ ...losses, file: path.basename(file) }));
  const text = JSON.stringify({ schemaVersion: 1, ...record, epochs: rows, seconds }, null, 2);
  const file = path.join(folder, 'run.json');
  try {
    await writeFileAtomically(file, `${text}\n`);
  } catch (error) {
    throw new TrainingError('training/unwritable', `${file}: cannot be written (${String(error)}). Check the folder, its rights and the space left.`, { file }, { cause: error });
  }
}
