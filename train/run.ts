import * as fs from 'node:fs';
import * as path from 'node:path';
import type { CheckpointFormat } from '../lib/methods/checkpoint';
import { checkModelRequest } from '../lib/methods/open-model';
import { definedOptions } from '../lib/defined-options';
import { TrainingError, UsageError } from '../lib/errors';
import { methodNamed } from '../lib/methods/registry';
import type { SpatialChoice } from '../lib/methods/spatial';
import { findRegisteredDataset } from '../datasets/registry';
import { configText } from './config';
import { curvesPage } from './curves-page';
import { encodeRun } from './encode-run';
import { bestEpoch, type BestEpoch, type EpochRecord } from './epoch-record';
import { EventLog } from './event-log';
import { checkTrainingOptions, type TrainingOptions } from './options';
import { prepareRun, type PreparedRun } from './prepare-run';
import { readRunFile, RUN_SCHEMA_VERSION, type RunFile, type RunRequest, type SkippedImage } from './run-file';
import type { TrainOptions } from './run-options';
import { RunFolder } from './run-folder';
import { changedVersions, defaultRunFolder, differences, type RunRecord } from './run-record';
import { readRunState, type RunState } from './run-state';
import { readStepLog, StepLog } from './step-log';
import { Trainer } from './trainer';
import { SAVE_EVERY, TrainingLoop, type LoopParts } from './training-loop';
import { workingCommit } from './working-commit';

/** The result of a training run. */
export interface TrainingResult {
  /** The folder of the run, absolute. */
  readonly folder: string;
  /** File of the prompts after the last epoch. */
  readonly prompts: string;
  /** File of the prompts of the best epoch. */
  readonly bestPrompts: string;
  /** Which epoch is the best, and by which measure. */
  readonly best: BestEpoch;
  /** Losses of each epoch, and metrics if images are held out. */
  readonly epochs: readonly EpochRecord[];
  /** Everything that determined the result. */
  readonly record: RunRecord;
  /** The options with which the run was started. */
  readonly request: RunRequest;
  /** Images that could not be read. */
  readonly skipped: readonly SkippedImage[];
  /** Total time of the run, including before it was resumed. */
  readonly seconds: { readonly encode: number; readonly train: number };
}

/**
 * Trains prompts on auxiliary sets (paper section 3; docs/method.md#training): encodes every image once with the frozen
 * encoder, then runs the epochs on the features. `docs/commands.md` describes the run folder.
 * @throws DatasetError for a missing set; TrainingError `training/no-anomalous`, `training/no-masks`,
 *   `training/unreadable`, `training/diverged`, `training/unwritable`, `training/busy`, `training/changed` if a resumed
 *   run would no longer be the same; UsageError for options, `training/unfinished` and `training/finished`; WeightsError for
 *   files; the signal's reason
 */
export async function runTraining(given: TrainOptions): Promise<TrainingResult> {
  const before = given.resume === undefined ? undefined : readRunFile(new RunFolder(path.resolve(given.resume)).record);
  const options = before === undefined ? given : continued(before, given);
  if (given.resume !== undefined && before === undefined && given.auxiliary === undefined) {
    throw new UsageError(
      'training/no-run',
      `${given.resume} contains no run to resume; name the folder of a run, or start one there by giving \`auxiliary\``,
      { folder: given.resume },
    );
  }
  if (given.resume !== undefined && given.out !== undefined && path.resolve(given.resume) !== path.resolve(given.out)) {
    throw new UsageError(
      'training/two-folders',
      `a run is resumed in its own folder, ${given.resume}; leave out ${given.out}, or copy the run there`,
      { resume: given.resume, out: given.out },
    );
  }
  const saveEvery = wholeNumber('saveEvery', options.saveEvery ?? SAVE_EVERY);
  const saveFrequency = wholeNumber('saveFrequency', options.saveFrequency ?? 1);
  checkTrainingOptions(options.training ?? {}, methodNamed(options.method));
  checkModelRequest({ choice: options, options: options.model ?? {}, fresh: true });
  const prepared = await prepareRun(options);
  try {
    const { record } = prepared;
    const place = given.resume ?? options.out;
    const folder = new RunFolder(place === undefined ? defaultRunFolder(record) : path.resolve(place));
    return await folder.locked(() => new Run(folder, { ...options, saveEvery, saveFrequency }, prepared).go());
  } finally {
    prepared.model.dispose();
  }
}

/** The options of an existing run, overridden by those given now. */
function continued({ request, commandLine }: RunFile, given: TrainOptions): TrainOptions {
  return {
    ...request,
    ...definedOptions(given),
    model: { ...request.model, ...given.model },
    training: { ...request.training, ...given.training },
    // Equal runs write equal files: the command that started the run is the one that repeats it.
    commandLine,
  };
}

function wholeNumber(option: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new UsageError('usage/options', `${option} ${value}: expected a whole number, 1 or more`, {
    option,
    found: value,
  });
}

/** @throws UsageError if the folder contains a run or prompts that a new run would discard */
function refuseOlderRun(folder: RunFolder): void {
  const anew = 'To discard it and start anew: `overwrite: true`; or choose another folder with `out`.';
  const state = readRunState(folder.state);
  if (state !== undefined) {
    throw new UsageError(
      'training/unfinished',
      `${folder.root} contains a run that stopped after step ${state.step}. To resume it: \`resume: '${folder.root}'\`.\n${anew}`,
      { folder: folder.root, step: state.step },
    );
  }
  if (fs.existsSync(folder.prompts) || fs.existsSync(folder.best)) {
    throw new UsageError('training/finished', `${folder.root} contains the prompts of a finished run.\n${anew}`, {
      folder: folder.root,
    });
  }
}

type RunOptions = TrainOptions & { readonly saveEvery: number; readonly saveFrequency: number };

/** One run in its folder, while the folder's lock is held. */
class Run {
  private readonly before: RunFile | undefined;

  constructor(
    private readonly folder: RunFolder,
    private readonly options: RunOptions,
    private readonly prepared: PreparedRun,
  ) {
    this.before = this.runHere();
  }

  /**
   * The run in the folder, if it is to be resumed.
   * @throws TrainingError `training/changed`; UsageError `training/unfinished`
   */
  private runHere(): RunFile | undefined {
    const { folder, options } = this;
    if (options.resume === undefined) {
      if (!options.overwrite) refuseOlderRun(folder);
      return undefined;
    }
    const before = readRunFile(folder.record);
    if (before === undefined) return undefined;
    const changed = differences(before, this.prepared.record);
    if (changed.length > 0) {
      throw new TrainingError(
        'training/changed',
        `${folder.root} cannot be resumed, because it would not end with the same prompts. Changed since it began:\n${changed.map((line) => `  ${line}`).join('\n')}\n` +
          'Restore these, or start a new run in another folder with `out`.',
        { folder: folder.root, changed },
      );
    }
    const versions = changedVersions(before, this.prepared.record);
    if (versions.length > 0)
      options.onNotice?.(
        `Software versions have changed (${versions.join('; ')}); the prompts may differ in their last bits.`,
      );
    return before;
  }

  async go(): Promise<TrainingResult> {
    const { folder, options, before } = this;
    if (before?.status === 'finished' && fs.existsSync(folder.prompts)) {
      options.onNotice?.(`${folder.root} contains a finished run; there is nothing to resume.`);
      fs.rmSync(folder.state, { force: true });
      return this.resultOf(before);
    }
    const { record } = this.prepared;
    let file: RunFile = before ?? {
      schemaVersion: RUN_SCHEMA_VERSION,
      status: 'running',
      ...record,
      request: requestOf(options, record.training),
      commit: workingCommit(process.cwd()),
      started: new Date().toISOString(),
      skipped: [],
      epochs: [],
      best: null,
      seconds: { encode: 0, train: 0 },
    };
    const update = (change: Partial<RunFile>): void => {
      file = { ...file, ...change };
      folder.write(folder.record, `${JSON.stringify(file, null, 2)}\n`);
    };
    if (before === undefined) {
      folder.writing(folder.root, () => folder.clear());
      folder.write(
        folder.config,
        configText({ ...file.request, out: folder.root }, { ...record, method: this.prepared.method }),
      );
      update({});
    }
    const state = before === undefined ? undefined : readRunState(folder.state);
    options.onStart?.({ folder: folder.root, step: state?.step ?? 0 });
    const began = performance.now();
    const encoded = await encodeRun(this.prepared, options);
    try {
      const encode = file.seconds.encode + (performance.now() - began) / 1000;
      update({ skipped: encoded.skipped, seconds: { ...file.seconds, encode } });
      const onEpoch = (epochs: readonly EpochRecord[]): void => {
        update({ epochs, best: bestEpoch(epochs) ?? null });
        folder.write(folder.curves, curvesPage({ run: file, steps: readStepLog(folder.losses) }));
        options.onEpoch?.(epochs.at(-1) as EpochRecord);
      };
      const { seconds } = await this.runSteps(encoded, state, onEpoch);
      const finished = { status: 'finished', seconds: { encode, train: seconds } } as const;
      // Written before the record says that the run is finished.
      folder.write(folder.curves, curvesPage({ run: { ...file, ...finished }, steps: readStepLog(folder.losses) }));
      update(finished);
      fs.rmSync(folder.state, { force: true });
      return this.resultOf(file);
    } finally {
      await encoded.close();
    }
  }

  private async runSteps(
    { features, placesOf, validate }: Pick<LoopParts, 'features' | 'placesOf' | 'validate'>,
    state: RunState | undefined,
    onEpoch: (epochs: readonly EpochRecord[]) => void,
  ): Promise<{ seconds: number }> {
    const { folder, options, prepared } = this;
    const { saveEvery, saveFrequency, onStep, onProgress, signal } = options;
    const { method, model, record } = prepared;
    const trainer = new Trainer(model, record.training, method);
    let log: StepLog | undefined;
    let events: EventLog | null = null;
    try {
      if (state) trainer.restore({ adam: state.adam, steps: state.step }, state.prompts);
      log = folder.writing(folder.losses, () => new StepLog(folder.losses, state?.logBytes ?? 0));
      folder.clearEvents();
      events = await EventLog.open(folder.events);
      if (events === null)
        options.onNotice?.(
          'No TensorBoard event files are written: this needs the native backend. curves.html and losses.jsonl contain the same data.',
        );
      if (state) {
        readStepLog(folder.losses).forEach((line) => events?.step(line));
        state.epochs.forEach((epoch) => events?.epoch(epoch));
      }
      const loop = new TrainingLoop({
        features,
        placesOf,
        trainer,
        format: method.checkpoint as CheckpointFormat,
        record,
        folder,
        log,
        events,
        state,
        saveEvery,
        saveFrequency,
        validate,
        onEpoch,
        onStep,
        onProgress,
        signal,
      });
      return await loop.run();
    } finally {
      log?.close();
      events?.close();
      trainer.dispose();
    }
  }

  private resultOf({ epochs, best, request, skipped, seconds }: RunFile): TrainingResult {
    const { folder } = this;
    return {
      folder: folder.root,
      prompts: folder.prompts,
      bestPrompts: folder.best,
      best: best as BestEpoch,
      epochs,
      record: this.prepared.record,
      request,
      skipped,
      seconds,
    };
  }
}

/** Options that another process can resume with: without callbacks, with absolute paths and every training option. */
function requestOf(options: RunOptions, training: TrainingOptions): RunRequest {
  const {
    resume,
    out,
    overwrite,
    commandLine,
    offline,
    allowPrivateUrls,
    onProgress,
    onStart,
    onStep,
    onEpoch,
    onNotice,
    signal,
    ...request
  } = options;
  const auxiliary = (typeof request.auxiliary === 'string' ? [request.auxiliary] : (request.auxiliary ?? [])).map(
    (name) => (findRegisteredDataset(name) ? name : path.resolve(name)),
  );
  const absolute = (name: string): string => (fs.existsSync(name) ? path.resolve(name) : name);
  return {
    ...request,
    auxiliary,
    training,
    ...(request.backbone === undefined ? {} : { backbone: absolute(request.backbone) }),
    ...(request.spatial === undefined ? {} : { spatial: absoluteSpatial(request.spatial, absolute) }),
    ...(request.prompts === undefined ? {} : { prompts: absolute(request.prompts) }),
    ...(request.checkpoint === undefined ? {} : { checkpoint: absolute(request.checkpoint) }),
  };
}

function absoluteSpatial(choice: SpatialChoice, absolute: (name: string) => string): SpatialChoice {
  if (typeof choice === 'string') return absolute(choice);
  return choice.weights === undefined ? choice : { ...choice, weights: absolute(choice.weights) };
}
