import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { Category, Dataset } from '../../datasets/dataset';
import { pathInSet } from '../../datasets/path-in-set';
import type { BackendInfo } from '../../lib/backend';
import { Crane, type CraneOptions, type ModelDescription } from '../../lib/crane';
import type { OnProgress } from '../../lib/progress';
import type { CategoryEvaluation, Evaluation } from '../evaluation';
import { evaluateCategory, refuseUnlabelled, refuseUnreadable } from '../evaluator';
import { meanOverCategories } from '../metrics/metric-ids';
import { renderThumbnails, type Thumbnails } from '../gallery/pictures';
import { selectImages } from '../gallery/selection';
import { canonicalJson } from './canonical-json';
import { corruptedImage, CORRUPTIONS_VERSION, type Corruption } from './corruptions';
import { modelCost, type ModelCost } from './model-cost';
import type { InspectedModel, ModelFiles, ModelInspector } from './model-files';
import { PeakMemory } from './peak-memory';
import { programHash } from './program-hash';
import type { ResultStore } from './result-store';

/** One row of a benchmark: a set, and the model that scores it. */
export interface RowTask {
  /** Shown while it runs, such as `crane mvtec`. */
  readonly title: string;
  readonly dataset: Dataset;
  /** Options to load the model with. */
  readonly options: CraneOptions;
  /** How every image is degraded before it is scored. */
  readonly corruption?: Corruption;
  /** Whether to make thumbnails of the best and worst images too. */
  readonly pictures: boolean;
}

/** The cost of scoring, in addition to the model's. */
export interface RowCost extends ModelCost {
  /** From file to map, without masks and metrics; null where no image was scored. */
  readonly imagesPerSecond: number | null;
  /** Peak of the whole process while it scored, model and native libraries included. */
  readonly peakMemoryBytes: number;
}

export interface RowOutcome {
  readonly evaluation: Evaluation;
  readonly model: ModelDescription;
  readonly files: ModelFiles;
  readonly cost: RowCost;
  /** By path of the image; null where none were requested. */
  readonly thumbnails: Readonly<Record<string, Thumbnails>> | null;
  /** Categories whose results were already kept. */
  readonly resumed: number;
}

/** What is kept of a category. */
interface StoredCategory {
  readonly evaluation: CategoryEvaluation;
  readonly failures: Evaluation['failures'];
  readonly seconds: number;
  readonly peakMemoryBytes: number;
  readonly model: ModelDescription;
  readonly cost: ModelCost;
}

/** Raised whenever thumbnails change their form. */
const PICTURES_VERSION = 1;

export interface RowRunnerParts {
  readonly store: ResultStore;
  readonly inspector: ModelInspector;
  readonly backend: BackendInfo;
  /** Seed of the noise that degrades images. */
  readonly seed: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/**
 * Scores sets, category by category, and keeps each category as soon as it is done, so that a run that was stopped in
 * any way continues with the next one. A model is loaded only when something is left to score, and is kept for later
 * rows.
 */
export class RowRunner {
  private loaded: { readonly key: string; readonly crane: Crane } | undefined;
  private readonly program = programHash();

  constructor(private readonly parts: RowRunnerParts) {}

  /**
   * @throws DatasetError for a set without labels or without a readable image; what loading a model throws; the
   *   signal's reason
   */
  async run(task: RowTask): Promise<RowOutcome> {
    const { dataset, options, pictures } = task;
    const { store, inspector, onProgress, signal } = this.parts;
    refuseUnlabelled(dataset);
    const inspected = await inspector.inspect(options);
    const { files } = inspected;
    const modelKey = this.modelKey(inspected, options);
    const total = dataset.categories.reduce((sum, { samples }) => sum + samples.length, 0);
    const results: StoredCategory[] = [];
    let [done, resumed] = [0, 0];
    const onImage = (): void => onProgress?.({ kind: 'advance', task: task.title, done: ++done, total });
    onProgress?.({ kind: 'start', task: task.title, total, unit: 'images' });
    for (const category of dataset.categories) {
      signal?.throwIfAborted();
      const key = { ...modelKey, ...categoryKey(dataset, category), ...this.corruptionKey(task.corruption) };
      let result = store.read<StoredCategory>(key);
      if (result === undefined) {
        result = await this.score(await this.craneFor(modelKey, options), task, category, onImage);
        store.write(key, result);
      } else {
        resumed++;
        done += category.samples.length;
        onProgress?.({ kind: 'advance', task: task.title, done, total });
      }
      results.push(result);
    }
    onProgress?.({ kind: 'done', task: task.title });
    const evaluation = joined(dataset, results);
    refuseUnreadable(dataset, evaluation.failures);
    const { model, cost } = results.at(-1) as StoredCategory;
    return {
      evaluation,
      model,
      files,
      cost: { ...cost, ...measured(results) },
      thumbnails: pictures ? await this.thumbnailsOf(modelKey, task, evaluation) : null,
      resumed,
    };
  }

  /** Releases the loaded model, if any. */
  dispose(): void {
    this.loaded?.crane.dispose();
    this.loaded = undefined;
  }

  private async score(
    crane: Crane,
    { dataset, corruption }: RowTask,
    category: Category,
    onImage: () => void,
  ): Promise<StoredCategory> {
    const { seed, signal } = this.parts;
    const { reference } = crane.description.preprocessing;
    const start = performance.now();
    const memory = new PeakMemory();
    const { evaluation, failures } = await evaluateCategory(crane, dataset, category, {
      onImage,
      ...(signal ? { signal } : {}),
      ...(corruption
        ? {
            picture: ({ imagePath }) =>
              corruptedImage(imagePath, corruption, { reference, seed: `${seed} ${relative(dataset, imagePath)}` }),
          }
        : {}),
    });
    return {
      evaluation,
      failures,
      seconds: (performance.now() - start) / 1000,
      peakMemoryBytes: memory.bytes,
      model: crane.description,
      cost: modelCost(crane.model),
    };
  }

  private async thumbnailsOf(
    modelKey: object,
    { dataset, options }: RowTask,
    evaluation: Evaluation,
  ): Promise<Readonly<Record<string, Thumbnails>>> {
    const { store, onProgress } = this.parts;
    const key = {
      ...modelKey,
      pictures: PICTURES_VERSION,
      set: dataset.name,
      root: dataset.root,
      categories: dataset.categories.map((category) => categoryKey(dataset, category).files),
    };
    const stored = store.read<Readonly<Record<string, Thumbnails>>>(key);
    if (stored !== undefined) return stored;
    const thumbnails = Object.fromEntries(
      await renderThumbnails(await this.craneFor(modelKey, options), selectImages(evaluation), onProgress),
    );
    store.write(key, thumbnails);
    return thumbnails;
  }

  private async craneFor(modelKey: object, options: CraneOptions): Promise<Crane> {
    const { onProgress, signal } = this.parts;
    const key = canonicalJson(modelKey);
    if (this.loaded?.key !== key) {
      this.dispose();
      this.loaded = {
        key,
        crane: await Crane.load({ ...options, ...(onProgress ? { onProgress } : {}), ...(signal ? { signal } : {}) }),
      };
    }
    return this.loaded.crane;
  }

  /** All that the model's results depend on. File content counts, file names do not. */
  private modelKey({ files: { backbone, prompts, spatial }, network }: InspectedModel, given: CraneOptions): object {
    const { backbone: _, prompts: __, spatial: ___, backend: ____, offline, onProgress, signal, ...options } = given;
    return {
      program: this.program,
      backend: [this.parts.backend.name, this.parts.backend.tensorflowVersion, this.parts.backend.gpu],
      backbone: backbone.sha256,
      prompts: prompts?.sha256 ?? null,
      spatial: [spatial?.sha256 ?? null, typeof given.spatial === 'object' ? (given.spatial.heads ?? null) : null],
      network,
      options,
    };
  }

  private corruptionKey(corruption: Corruption | undefined): object {
    return corruption === undefined
      ? {}
      : { corruption: { ...corruption, seed: this.parts.seed, version: CORRUPTIONS_VERSION } };
  }
}

/** A category's location and its files: names, labels, sizes and modification times. */
export function categoryKey(
  dataset: Dataset,
  { name, samples }: Category,
): { readonly set: string; readonly category: string; readonly files: string } {
  const hash = createHash('sha256');
  const entry = (file: string | null): string => {
    const stat = file === null ? undefined : fs.statSync(file, { throwIfNoEntry: false });
    return file === null ? '-' : `${relative(dataset, file)} ${stat?.size ?? 0} ${stat?.mtimeMs ?? 0}`;
  };
  for (const { imagePath, maskPath, maskParts, defect, anomalous } of samples) {
    hash.update(`${defect}\t${anomalous}\t${[imagePath, ...(maskParts ?? [maskPath])].map(entry).join('\t')}\n`);
  }
  return { set: dataset.name, category: name, files: hash.update(`${dataset.root} ${dataset.hasMasks}`).digest('hex') };
}

function relative({ root }: Dataset, file: string): string {
  return pathInSet(root, file);
}

function joined({ name, root }: Dataset, results: readonly StoredCategory[]): Evaluation {
  const categories = results.map(({ evaluation }) => evaluation);
  return {
    dataset: name,
    root,
    categories,
    mean: meanOverCategories(categories.map(({ metrics }) => metrics)),
    groups: [],
    failures: results.flatMap(({ failures }) => failures),
    seconds: results.reduce((sum, { seconds }) => sum + seconds, 0),
  };
}

function measured(results: readonly StoredCategory[]): Pick<RowCost, 'imagesPerSecond' | 'peakMemoryBytes'> {
  const images = results.reduce((sum, { evaluation }) => sum + evaluation.images, 0);
  const seconds = results.reduce((sum, { evaluation }) => sum + evaluation.detectionSeconds, 0);
  return {
    imagesPerSecond: seconds > 0 ? images / seconds : null,
    peakMemoryBytes: Math.max(...results.map(({ peakMemoryBytes }) => peakMemoryBytes)),
  };
}
