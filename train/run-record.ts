import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { BackendInfo } from '../lib/backend';
import { roundingCircumstances } from '../lib/backend/cpu-flags';
import type { CommonOptions } from '../lib/methods/method';
import type { Preprocessing } from '../lib/image/preprocess';
import {
  AUXILIARY_KEY,
  BACKBONE_HASH_KEY,
  BACKBONE_KEY,
  OPTIONS_KEY,
  SPATIAL_HASH_KEY,
  SPATIAL_KEY,
} from '../lib/methods/checkpoint-origin';
import { NETWORK_KEY, type NetworkRecord } from '../lib/methods/trained-network';
import { packageVersion } from '../lib/files/version';
import { INPUT_KEY } from '../lib/weights/input-rule';
import type { Dataset, Sample } from '../datasets/dataset';
import type { FeaturePrecision } from './encoded-image';
import type { TrainingOptions } from './options';

/** Everything that determines the result of a training run, and what is needed to use it. */
export interface RunRecord {
  readonly auxiliary: {
    /** Names of the sets, joined by commas. */
    readonly name: string;
    /** As `set/category` if there are several sets. */
    readonly categories: readonly string[];
    /** Images used for training. */
    readonly images: number;
    readonly anomalous: number;
    /** Images held out to choose the best prompts. */
    readonly validation: number;
    /** sha256 over names, labels and contents of all files used for training or held out. */
    readonly files: string;
  };
  readonly backbone: { readonly name: string; readonly sha256: string };
  /** What determines the backbone's results besides its weights; missing in older runs. */
  readonly network?: NetworkRecord;
  /** The second vision model of Crane+; null without one. */
  readonly spatial: { readonly name: string; readonly sha256: string; readonly network?: object } | null;
  /**
   * Name of the prompts that training started from and hash of their values; null if they were initialised from the
   * seed.
   */
  readonly start: { readonly name: string; readonly sha256: string } | null;
  readonly options: CommonOptions;
  readonly preprocessing: Preprocessing;
  /** Precision of the features during training. */
  readonly precision: FeaturePrecision;
  readonly training: TrainingOptions;
  readonly versions: Readonly<Record<string, string>>;
  /** The command that repeats the run. */
  readonly commandLine: string;
}

/** Eight characters of a hash that distinguishes runs whose prompts may differ. */
export function runHash(record: RunRecord): string {
  const { auxiliary, backbone, network, spatial, start, options, preprocessing, precision, training } = record;
  const parts = {
    files: auxiliary.files,
    backbone: backbone.sha256,
    network,
    spatial: spatial?.sha256,
    guide: spatial?.network,
    start: start?.sha256,
    options,
    preprocessing,
    precision,
    training,
  };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 8);
}

/** The default folder of a run, named by the set, the seed and a hash of everything else. */
export function defaultRunFolder(record: RunRecord): string {
  const name = record.auxiliary.name.replace(/[^\w.-]+/g, '_');
  return path.resolve('checkpoints', 'runs', `${name}-${record.training.seed}-${runHash(record)}`);
}

/**
 * The differences between a run and the same run if it were started now, one line each; empty if resuming gives the same
 * prompts. Versions of the software are left to `changedVersions`.
 */
export function differences(then: RunRecord, now: RunRecord): string[] {
  const lines: string[] = [];
  const compare = (what: string, before: unknown, after: unknown): void => {
    if (JSON.stringify(before) !== JSON.stringify(after))
      lines.push(`${what}: ${JSON.stringify(before) ?? 'not set'} then, ${JSON.stringify(after) ?? 'not set'} now`);
  };
  const compareParts = (before: object, after: object): void => {
    const [old, young] = [before as Readonly<Record<string, unknown>>, after as Readonly<Record<string, unknown>>];
    for (const key of new Set([...Object.keys(old), ...Object.keys(young)])) compare(key, old[key], young[key]);
  };
  compare('auxiliary set', then.auxiliary.name, now.auxiliary.name);
  compare('categories', then.auxiliary.categories, now.auxiliary.categories);
  if (then.auxiliary.files !== now.auxiliary.files) {
    const counts = ({ auxiliary }: RunRecord): string => `${auxiliary.images + auxiliary.validation} images`;
    lines.push(`files of the auxiliary set, by name, label or content: ${counts(then)} then, ${counts(now)} now`);
  }
  for (const [what, key] of [
    ['weights of the backbone', 'backbone'],
    ['weights of the spatial model', 'spatial'],
    ['prompts to start from', 'start'],
  ] as const) {
    const named = (weights: RunRecord['start']): string =>
      weights === null ? 'none' : `${weights.name} (sha256 ${weights.sha256.slice(0, 8)})`;
    if (then[key]?.sha256 !== now[key]?.sha256) lines.push(`${what}: ${named(then[key])} then, ${named(now[key])} now`);
  }
  if (then.spatial?.network !== undefined) compare('the spatial model', then.spatial.network, now.spatial?.network);
  if (then.network !== undefined) compareParts(then.network, now.network ?? {});
  compareParts(then.options, now.options);
  compareParts(then.preprocessing, now.preprocessing);
  compare('precision', then.precision, now.precision);
  compareParts(then.training, now.training);
  compare('backend', then.versions['backend'], now.versions['backend']);
  return lines;
}

/** Versions that have changed since the run started: its prompts may then differ in their last bits. */
export function changedVersions(then: RunRecord, now: RunRecord): string[] {
  return Object.keys({ ...then.versions, ...now.versions })
    .filter((name) => then.versions[name] !== now.versions[name])
    .map((name) => `${name} ${then.versions[name] ?? 'absent'} then, ${now.versions[name] ?? 'absent'} now`);
}

/** A run as the metadata of its prompts. Contains no times and no paths, so that equal runs write equal files. */
export function promptMetadata(record: RunRecord, epoch: number): Record<string, string> {
  const { auxiliary, backbone, network, spatial, start, training } = record;
  return {
    [OPTIONS_KEY]: JSON.stringify(record.options),
    [INPUT_KEY]: JSON.stringify(record.preprocessing),
    ...(network === undefined ? {} : { [NETWORK_KEY]: JSON.stringify(network) }),
    [AUXILIARY_KEY]: auxiliary.name,
    'crane.auxiliary.categories': auxiliary.categories.join(','),
    'crane.auxiliary.images': String(auxiliary.images),
    'crane.auxiliary.files': auxiliary.files,
    [BACKBONE_KEY]: backbone.name,
    [BACKBONE_HASH_KEY]: backbone.sha256,
    ...(spatial === null ? {} : { [SPATIAL_KEY]: spatial.name, [SPATIAL_HASH_KEY]: spatial.sha256 }),
    'crane.precision': record.precision,
    'crane.training': JSON.stringify(training),
    'crane.seed': String(training.seed),
    'crane.epoch': String(epoch),
    'crane.versions': JSON.stringify(record.versions),
    ...(start === null ? {} : { 'crane.start': start.name, 'crane.start.sha256': start.sha256 }),
    'crane.command': record.commandLine,
  };
}

/** Versions of the software, and the kind of processor. */
export function versionsInUse(backend: BackendInfo): Record<string, string> {
  return {
    crane: packageVersion(),
    node: process.versions.node,
    tfjs: tf.version_core,
    backend: backend.name,
    ...(backend.tensorflowVersion === null ? {} : { tensorflow: backend.tensorflowVersion }),
    ...(backend.name === 'tensorflow' ? { processor: roundingCircumstances(backend.threads) } : {}),
  };
}

/**
 * Hash of the files of these samples: relative names, labels and contents, independent of where the sets are stored.
 * @throws the signal's reason
 */
export async function hashOfFiles(
  datasets: readonly Dataset[],
  samples: readonly Sample[],
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const entry = async (file: string | null): Promise<string> => {
    if (file === null) return '-';
    // Files derived from a set, such as the union of several masks, are stored elsewhere.
    const root =
      datasets.map((dataset) => dataset.root).find((folder) => !path.relative(folder, file).startsWith('..')) ??
      path.dirname(file);
    const content = await fs.promises.readFile(file).then(
      (bytes) => createHash('sha256').update(bytes).digest('hex'),
      // Encoding will report it and skip it.
      () => 'unreadable',
    );
    return `${path.relative(root, file).split(path.sep).join('/')} ${content}`;
  };
  for (const { imagePath, maskPath, category, defect } of samples) {
    signal?.throwIfAborted();
    hash.update(`${category}\t${defect}\t${await entry(imagePath)}\t${await entry(maskPath)}\n`);
  }
  return hash.digest('hex');
}
