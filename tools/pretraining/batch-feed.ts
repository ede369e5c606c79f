import * as path from 'node:path';
import { Worker } from 'node:worker_threads';
import { TrainingError } from '../../lib/errors';
import type { BatchImages } from './batches';
import { phaseAt, type Recipe } from './recipe';

/** Batches that may be ready ahead of the training thread. */
export const SLOTS = 3;

export interface WorkerTask {
  readonly recipe: Recipe;
  readonly firstStep: number;
  readonly patchSize: number;
  readonly memory: SharedArrayBuffer;
  /** Batches made, batches taken. */
  readonly progress: SharedArrayBuffer;
}

type SlotViews = Omit<BatchImages, 'phase'>;

/** Batches in order, drawn by another thread while this one trains. */
export class BatchFeed {
  private readonly memory: SharedArrayBuffer;
  private readonly state: Int32Array;
  private readonly worker: Worker;
  private next: number;

  constructor(
    private readonly recipe: Recipe,
    private readonly firstStep: number,
    private readonly patchSize: number,
  ) {
    this.memory = new SharedArrayBuffer(SLOTS * slotBytes(recipe, patchSize));
    const progress = new SharedArrayBuffer(8);
    this.state = new Int32Array(progress);
    this.next = firstStep;
    const workerData: WorkerTask = { recipe, firstStep, patchSize, memory: this.memory, progress };
    const extension = path.extname(__filename);
    this.worker = new Worker(path.join(__dirname, `batch-worker${extension}`), {
      workerData,
      ...(extension === '.ts' ? { execArgv: ['-r', 'ts-node/register/transpile-only'] } : {}),
    });
    this.worker.unref();
  }

  /**
   * The next batch; sleeps until it is made. Its arrays are copies.
   * @throws TrainingError where the drawing thread has failed
   */
  take(): BatchImages {
    const index = this.next - this.firstStep;
    for (;;) {
      const made = Atomics.load(this.state, 0);
      if (made < 0)
        throw new TrainingError('training/drawing', `the thread that draws pictures failed before step ${this.next}`, {
          step: this.next,
        });
      if (made > index) break;
      Atomics.wait(this.state, 0, made, 1000);
    }
    const phase = phaseAt(this.recipe, this.next);
    const views = slotViews(this.memory, this.recipe, this.patchSize, index % SLOTS);
    const patches = (phase.size / this.patchSize) ** 2;
    const batch: BatchImages = {
      phase,
      images: views.images.slice(0, phase.batch * phase.size * phase.size * 3),
      coverage: views.coverage.slice(0, phase.batch * patches),
      families: views.families.slice(0, phase.batch),
      defects: views.defects.slice(0, phase.batch),
    };
    this.next += 1;
    Atomics.add(this.state, 1, 1);
    Atomics.notify(this.state, 1);
    return batch;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }
}

function largest(
  recipe: Recipe,
  patchSize: number,
): { readonly values: number; readonly patches: number; readonly batch: number } {
  const phases = [
    [recipe.cropSize, recipe.cropBatch],
    [recipe.wholeSize, recipe.wholeBatch],
  ] as const;
  return {
    values: Math.max(...phases.map(([size, batch]) => batch * size * size * 3)),
    patches: Math.max(...phases.map(([size, batch]) => batch * (size / patchSize) ** 2)),
    batch: Math.max(...phases.map(([, batch]) => batch)),
  };
}

function slotBytes(recipe: Recipe, patchSize: number): number {
  const { values, patches, batch } = largest(recipe, patchSize);
  return 4 * (values + patches + 2 * batch);
}

/** A slot's parts, each as long as its largest batch needs. */
export function slotViews(memory: SharedArrayBuffer, recipe: Recipe, patchSize: number, slot: number): SlotViews {
  const { values, patches, batch } = largest(recipe, patchSize);
  const start = slot * slotBytes(recipe, patchSize);
  return {
    images: new Float32Array(memory, start, values),
    coverage: new Float32Array(memory, start + 4 * values, patches),
    families: new Int32Array(memory, start + 4 * (values + patches), batch),
    defects: new Int32Array(memory, start + 4 * (values + patches + batch), batch),
  };
}
