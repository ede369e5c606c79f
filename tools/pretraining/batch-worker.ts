/**
 * The generating thread: makes batches in order, in slots of shared memory that the training thread reads and frees.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { drawPoolPair, makeBatch, type PicturePair } from './batches';
import { SLOTS, slotViews, type WorkerTask } from './batch-feed';
import { poolWindow } from './recipe';

const { recipe, firstStep, patchSize, memory, progress } = workerData as WorkerTask;
const [MADE, TAKEN] = [0, 1];
const state = new Int32Array(progress);
const pool = new Map<number, PicturePair>();

try {
  for (let step = firstStep; step < recipe.steps; step++) {
    const [from, to] = poolWindow(recipe, step);
    for (const index of pool.keys()) if (index < from) pool.delete(index);
    for (let index = from; index < to; index++) if (!pool.has(index)) pool.set(index, drawPoolPair(recipe, index));
    const batch = makeBatch(recipe, step, patchSize, (index) => pool.get(index) as PicturePair);

    // Wait until the slot's last batch has been taken.
    for (;;) {
      const taken = Atomics.load(state, TAKEN);
      if (step - firstStep - taken < SLOTS) break;
      Atomics.wait(state, TAKEN, taken);
    }
    const slot = slotViews(memory, recipe, patchSize, (step - firstStep) % SLOTS);
    slot.images.set(batch.images);
    slot.coverage.set(batch.coverage);
    slot.families.set(batch.families);
    slot.defects.set(batch.defects);
    Atomics.add(state, MADE, 1);
    Atomics.notify(state, MADE);
  }
} catch (error) {
  // The training thread may be asleep waiting for a batch that will not come.
  Atomics.store(state, MADE, -1);
  Atomics.notify(state, MADE);
  throw error;
} finally {
  parentPort?.close();
}
