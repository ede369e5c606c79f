import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { BackendInfo } from '../lib/backend';
import type { ModelOptions } from '../lib/config';
import type { Preprocessing } from '../lib/image/preprocess';
import { OPTIONS_KEY } from '../lib/methods/crane/prompts';
import { packageVersion } from '../lib/version';
import type { Dataset, Sample } from '../datasets/dataset';
import type { FeaturePrecision } from './feature-store';
import type { TrainingOptions } from './options';

/** Everything that decides what a training run gives, and what is needed to use it. */
export interface RunRecord {
  readonly auxiliary: {
    readonly name: string;
    readonly categories: readonly string[];
    readonly images: number;
    readonly anomalous: number;
    /** sha256 over names, labels and sizes of all files. */
    readonly files: string;
  };
  readonly backbone: { readonly name: string; readonly sha256: string };
  /** Name and values' hash of the prompts that training started from; null where they were drawn from the seed. */
  readonly start: { readonly name: string; readonly sha256: string } | null;
  readonly options: ModelOptions;
  readonly preprocessing: Preprocessing;
  /** How features were kept while training. */
  readonly precision: FeaturePrecision;
  readonly training: TrainingOptions;
  readonly versions: Readonly<Record<string, string>>;
  readonly commandLine: string | null;
}

/** What eight characters of a hash tell apart: runs whose prompts may differ. */
export function runHash({ auxiliary, backbone, start, options, preprocessing, precision, training }: RunRecord): string {
  const parts = { files: auxiliary.files, backbone: backbone.sha256, start: start?.sha256, options, preprocessing, precision, training };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 8);
}

/** The folder of a run where none is named: the set, the seed, and a hash of everything else. */
export function defaultRunFolder(record: RunRecord): string {
  const name = record.auxiliary.name.replace(/[^\w.-]+/g, '_');
  return path.resolve('checkpoints', 'runs', `${name}-${record.training.seed}-${runHash(record)}`);
}

/** A run as the metadata of its prompts. Holds no time and no place, so that equal runs write equal files. */
export function promptMetadata(record: RunRecord, epoch: number): Record<string, string> {
  const { auxiliary, backbone, start, options, preprocessing, precision, training, versions, commandLine } = record;
  return {
    [OPTIONS_KEY]: JSON.stringify(options),
    'crane.preprocessing': JSON.stringify(preprocessing),
    'crane.auxiliary': auxiliary.name,
    'crane.auxiliary.categories': auxiliary.categories.join(','),
    'crane.auxiliary.images': String(auxiliary.images),
    'crane.auxiliary.files': auxiliary.files,
    'crane.backbone': backbone.name,
    'crane.backbone.sha256': backbone.sha256,
    'crane.precision': precision,
    'crane.training': JSON.stringify(training),
    'crane.seed': String(training.seed),
    'crane.epoch': String(epoch),
    'crane.versions': JSON.stringify(versions),
    ...(start === null ? {} : { 'crane.start': start.name, 'crane.start.sha256': start.sha256 }),
    ...(commandLine === null ? {} : { 'crane.command': commandLine }),
  };
}

/** Versions of what computes. */
export function versionsInUse(backend: BackendInfo): Record<string, string> {
  return {
    crane: packageVersion(),
    node: process.versions.node,
    tfjs: tf.version_core,
    backend: backend.name,
    ...(backend.tensorflowVersion === null ? {} : { tensorflow: backend.tensorflowVersion }),
  };
}

/** Hash of a set's list of files: relative names, labels and sizes in bytes; the pictures are not read. */
export function hashOfFiles(dataset: Dataset, samples: readonly Sample[]): string {
  const hash = createHash('sha256');
  const entry = (file: string | null): string =>
    file === null ? '-' : `${path.relative(dataset.root, file).split(path.sep).join('/')} ${fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0}`;
  for (const { imagePath, maskPath, category, defect } of samples) {
    hash.update(`${category}\t${defect}\t${entry(imagePath)}\t${entry(maskPath)}\n`);
  }
  return hash.digest('hex');
}
