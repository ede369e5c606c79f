import { setImmediate } from 'node:timers/promises';
import type { MetricValues } from '../eval/metrics/metric-ids';
import type { Sample } from '../datasets/sample';
import { TrainingError } from '../lib/errors';
import type { OnProgress } from '../lib/progress';
import type { CheckpointFormat, LearnedValues } from '../lib/methods/checkpoint';
import { bestEpoch, type EpochRecord } from './epoch-record';
import type { EventLog } from './event-log';
import type { FeatureStore } from './feature-store';
import { imagePathsOf } from './mosaic';
import { disposeBatch } from './encoded-image';
import { promptMetadata, type RunRecord } from './run-record';
import type { RunFolder } from './run-folder';
import { writeRunState, type EpochSums, type RunState } from './run-state';
import { epochBatches } from './shuffle';
import type { StepLine, StepLog } from './step-log';
import type { StepLosses, Trainer } from './trainer';

/** Default number of steps between saved states. */
export const SAVE_EVERY = 20;

/** One optimiser step, as reported to callers. */
export interface StepReport extends StepLine {
  /** Steps of the whole run. */
  readonly steps: number;
}

export interface LoopParts {
  readonly features: FeatureStore;
  /** What stands in an epoch, from 1, in places among the features: images, and mosaics in their stead. Equally many in each. */
  readonly placesOf: (epoch: number) => readonly number[];
  readonly trainer: Trainer;
  readonly format: CheckpointFormat;
  readonly record: RunRecord;
  readonly folder: RunFolder;
  readonly log: StepLog;
  readonly events: EventLog | null;
  /** The state that a resumed run starts from. */
  readonly state: RunState | undefined;
  /** Steps between saved states. */
  readonly saveEvery: number;
  /** Epochs between kept prompts. */
  readonly saveFrequency: number;
  /** Metrics of the current prompts; null if no images were held out. */
  readonly validate: () => Promise<MetricValues | null>;
  /** Called at the end of each epoch, before the state is saved. */
  readonly onEpoch: (epochs: readonly EpochRecord[]) => void;
  readonly onStep?: ((report: StepReport) => void | Promise<void>) | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

const NO_SUMS: EpochSums = { focal: 0, dice: 0, image: 0, total: 0, images: 0 };

/** The steps of a run, from its current state to its end. */
export class TrainingLoop {
  private readonly stepsPerEpoch: number;
  private readonly steps: number;
  private step: number;
  private sums: EpochSums;
  private epochs: readonly EpochRecord[];
  private seconds: number;
  private saved: number;

  constructor(private readonly parts: LoopParts) {
    const { placesOf, record, state } = parts;
    this.stepsPerEpoch = Math.ceil(placesOf(1).length / record.training.batchSize);
    this.steps = record.training.epochs * this.stepsPerEpoch;
    this.step = state?.step ?? 0;
    this.saved = this.step;
    this.sums = state?.sums ?? NO_SUMS;
    this.epochs = state?.epochs ?? [];
    this.seconds = state?.seconds ?? 0;
  }

  /**
   * Runs the remaining steps.
   * @throws TrainingError `training/diverged`, `training/unwritable`; the signal's reason, once the current step is
   *   completed and saved
   */
  async run(): Promise<{ readonly epochs: readonly EpochRecord[]; readonly seconds: number }> {
    const { placesOf, record, signal, onProgress, onStep } = this.parts;
    const { batchSize, seed } = record.training;
    onProgress?.({
      kind: 'start',
      task: 'train',
      total: this.steps,
      unit: 'steps',
      ...(this.step > 0 ? { done: this.step } : {}),
    });
    if (this.step > 0) onProgress?.({ kind: 'advance', task: 'train', done: this.step, total: this.steps });
    let batches: readonly number[][] = [];
    let prepared = 0;
    while (this.step < this.steps) {
      // The native backend computes without a pause; a signal, such as Ctrl-C, needs one to arrive.
      await setImmediate();
      if (signal?.aborted) {
        if (this.step > this.saved) await this.save();
        signal.throwIfAborted();
      }
      const epoch = Math.floor(this.step / this.stepsPerEpoch) + 1;
      if (epoch !== prepared) {
        const places = placesOf(epoch);
        batches = epochBatches(places.length, batchSize, seed, epoch).map((batch) =>
          batch.map((index) => places[index] as number),
        );
        prepared = epoch;
      }
      const place = this.step % this.stepsPerEpoch;
      const line = await this.takeStep(epoch, batches[place] as number[], batches[place + 1]);
      if (this.step % this.stepsPerEpoch === 0) await this.finishEpoch(epoch);
      else if (this.step % this.parts.saveEvery === 0) await this.save();
      await onStep?.({ ...line, steps: this.steps });
    }
    onProgress?.({ kind: 'done', task: 'train' });
    return { epochs: this.epochs, seconds: this.seconds };
  }

  private async takeStep(
    epoch: number,
    places: readonly number[],
    next: readonly number[] | undefined,
  ): Promise<StepLine> {
    const { features, trainer, folder, log, events, onProgress } = this.parts;
    const began = performance.now();
    const batch = await features.batch(places, next);
    let losses: StepLosses;
    try {
      losses = await trainer.step(batch);
    } catch (error) {
      throw error instanceof TrainingError && error.code === 'training/diverged'
        ? this.diverged(error, epoch, places)
        : error;
    } finally {
      disposeBatch(batch);
    }
    const seconds = (performance.now() - began) / 1000;
    this.step += 1;
    this.seconds += seconds;
    this.sums = {
      focal: this.sums.focal + losses.focal * places.length,
      dice: this.sums.dice + losses.dice * places.length,
      image: this.sums.image + losses.image * places.length,
      total: this.sums.total + losses.total * places.length,
      images: this.sums.images + places.length,
    };
    const line: StepLine = { step: this.step, epoch, ...losses, images: places.length, seconds };
    folder.writing(log.file, () => log.append(line));
    events?.step(line);
    const means = this.means();
    onProgress?.({
      kind: 'advance',
      task: 'train',
      done: this.step,
      total: this.steps,
      values: { epoch, loss: means.total, focal: means.focal, dice: means.dice, image: means.image },
    });
    return line;
  }

  private means(): StepLosses {
    const { focal, dice, image, total, images } = this.sums;
    return { focal: focal / images, dice: dice / images, image: image / images, total: total / images };
  }

  private async finishEpoch(epoch: number): Promise<void> {
    const { trainer, format, record, folder, saveFrequency, validate, events, onEpoch } = this.parts;
    const values = await trainer.values();
    this.refuseNotFinite(values);
    const kept = epoch % saveFrequency === 0 || epoch === record.training.epochs;
    const finished: EpochRecord = {
      epoch,
      ...this.means(),
      file: kept ? `epoch_${epoch}.safetensors` : null,
      validation: await validate(),
    };
    this.epochs = [...this.epochs, finished];
    this.sums = NO_SUMS;
    const isBest = bestEpoch(this.epochs)?.epoch === epoch;
    for (const file of [...(kept ? [folder.epoch(epoch)] : []), ...(isBest ? [folder.best] : []), folder.prompts]) {
      folder.writing(file, () => format.write(file, values, promptMetadata(record, epoch)));
    }
    events?.epoch(finished);
    onEpoch(this.epochs);
    await this.save(values);
  }

  /** Saves everything needed to resume; if this fails, the previous state is kept. */
  private async save(known?: LearnedValues): Promise<void> {
    const { trainer, folder, log, events } = this.parts;
    const values = known ?? (await trainer.values());
    const { adam } = await trainer.state();
    this.refuseNotFinite(values);
    folder.writing(log.file, () => log.sync());
    folder.writing(folder.events, () => events?.flush());
    const { step, sums, epochs, seconds } = this;
    folder.writing(folder.state, () =>
      writeRunState(folder.state, { step, prompts: values, adam, sums, epochs, logBytes: log.bytes, seconds }),
    );
    this.saved = step;
  }

  /** @throws TrainingError `training/diverged` if the prompts are NaN or infinite, so that they do not replace good ones */
  private refuseNotFinite(values: LearnedValues): void {
    if (Object.values(values).every(({ data }) => data.every(Number.isFinite))) return;
    throw new TrainingError(
      'training/diverged',
      `the prompts are NaN or infinite after step ${this.step}; use a lower learning rate`,
      { step: this.step },
    );
  }

  /** Lists the images of a batch whose loss is NaN or infinite in a file in the run folder. */
  private diverged(error: TrainingError, epoch: number, places: readonly number[]): TrainingError {
    const { folder, features } = this.parts;
    const images = places.flatMap((place) => imagePathsOf(features.samples[place] as Sample));
    folder.write(folder.diverged, `${JSON.stringify({ ...error.data, epoch, images }, null, 2)}\n`);
    return new TrainingError(
      'training/diverged',
      `${error.message}. The ${images.length} images of its batch are listed in ${folder.diverged}`,
      { ...error.data, images, file: folder.diverged },
      { cause: error },
    );
  }
}
