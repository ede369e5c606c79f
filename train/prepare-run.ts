import { createHash } from 'node:crypto';
import * as path from 'node:path';
import { prepareBackend, type BackendInfo } from '../lib/backend';
import type { AnomalyModel, Method } from '../lib/methods/method';
import type { LearnedPart } from '../lib/methods/checkpoint-origin';
import { networkRecord } from '../lib/methods/trained-network';
import { chooseSamples, openAuxiliarySet, type AuxiliarySet } from './auxiliary-set';
import { commandOf } from './config';
import type { TrainOptions } from './run-options';
import { hashOfFiles, versionsInUse, type RunRecord } from './run-record';
import { buildModel, openRunWeights, type RunWeights } from './run-weights';
import { describeReading } from '../datasets/dataset';
import type { Selection } from './selection';

/** A run that is ready to start: its images are chosen, its model is built. */
export interface PreparedRun {
  readonly set: AuxiliarySet;
  readonly selection: Selection;
  readonly method: Method;
  /** The owner of the run must dispose it. */
  readonly model: AnomalyModel;
  readonly record: RunRecord;
  readonly backend: BackendInfo;
}

/**
 * Checks everything that can be wrong with a run, before anything is written.
 * @throws as `runTraining`, for sets, options and weights
 */
export async function prepareRun(options: TrainOptions): Promise<PreparedRun> {
  const { auxiliary = [], categories, layout, normalWithoutMask, onProgress, onNotice, signal } = options;
  const set = await openAuxiliarySet(typeof auxiliary === 'string' ? [auxiliary] : auxiliary, {
    categories,
    layout,
    normalWithoutMask,
    onProgress,
    signal,
  });
  for (const dataset of set.datasets) {
    onNotice?.(`${dataset.name}: ${describeReading(dataset)}`);
    dataset.problems.forEach(({ message }) => onNotice?.(message));
  }
  const backend = await prepareBackend(options.backend ?? 'auto');
  if (backend.warning !== null) onNotice?.(backend.warning);
  const weights = await openRunWeights(options);
  weights.warnings.forEach((notice) => onNotice?.(notice));
  let model: AnomalyModel | undefined;
  try {
    const selection = chooseSamples(set, weights.training);
    const files = await hashOfFiles(set.datasets, [...selection.training, ...selection.validation], signal);
    model = buildModel(weights);
    return {
      set,
      selection,
      method: weights.method,
      model,
      record: await recordOf({ options, set, selection, files, weights, backend }),
      backend,
    };
  } catch (error) {
    model?.dispose();
    throw error;
  } finally {
    weights.close();
  }
}

interface RecordParts {
  readonly options: TrainOptions;
  readonly set: AuxiliarySet;
  readonly selection: Selection;
  /** Hash of all files. */
  readonly files: string;
  readonly weights: RunWeights;
  readonly backend: BackendInfo;
}

async function recordOf({ options, set, selection, files, weights, backend }: RecordParts): Promise<RunRecord> {
  const { method, backbone, spatial, start, options: model, training } = weights;
  return {
    auxiliary: {
      name: set.name,
      categories: set.datasets.flatMap(({ name, categories }) =>
        categories.map((category) => (set.datasets.length > 1 ? `${name}/${category.name}` : category.name)),
      ),
      images: selection.training.length,
      anomalous: selection.training.filter(({ anomalous }) => anomalous).length,
      validation: selection.validation.length,
      files,
    },
    backbone: { name: backbone.name, sha256: await backbone.sha256() },
    network: networkRecord(backbone),
    spatial:
      spatial === undefined ? null : { name: spatial.name, sha256: await spatial.sha256(), network: spatial.network },
    start:
      start === undefined ? null : { name: path.basename(start.name), sha256: hashOfValues(method, start.learned) },
    options: model,
    preprocessing: {
      ...backbone.preprocessing,
      reference: options.referenceImages ?? backbone.preprocessing.reference,
    },
    precision: options.precision ?? 'float16',
    training,
    versions: versionsInUse(backend),
    commandLine: options.commandLine ?? commandOf(options, weights),
  };
}

function hashOfValues({ checkpoint }: Method, learned: LearnedPart): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of checkpoint?.values(learned) ?? [])
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex');
}
