import * as fs from 'node:fs';
import { TrainingError } from '../lib/errors';
import { openTensorsSync } from '../lib/weights/open';
import { writeSafetensors, type TensorToWrite } from '../lib/weights/safetensors';
import type { AdamState } from './adam';
import type { EpochRecord } from './epoch-record';
import type { LearnedValues } from '../lib/methods/checkpoint';

/** Sums over the images of the current epoch. */
export interface EpochSums {
  readonly focal: number;
  readonly dice: number;
  readonly image: number;
  readonly total: number;
  readonly images: number;
}

/**
 * Everything needed to resume. The order of images, mosaics and image context are determined by seed, epoch and step, so
 * the step determines every random stream.
 */
export interface RunState {
  /** Optimiser steps done. */
  readonly step: number;
  readonly prompts: LearnedValues;
  readonly adam: AdamState;
  readonly sums: EpochSums;
  readonly epochs: readonly EpochRecord[];
  /** Bytes of the loss log that belong to these steps. */
  readonly logBytes: number;
  readonly seconds: number;
}

const FORMAT = 'training-state';
const PROMPT = 'prompt.';

/** Writes a state to one file, atomically. @throws WeightsError if it cannot be written */
export function writeRunState(file: string, { prompts, adam, ...rest }: RunState): void {
  const vector = (data: Float32Array): TensorToWrite => ({ dtype: 'float32', shape: [data.length], data });
  writeSafetensors(
    file,
    {
      ...Object.fromEntries(
        Object.entries(prompts).map(([name, { shape, data }]) => [
          PROMPT + name,
          { dtype: 'float32', shape, data } as const,
        ]),
      ),
      'adam.first': vector(adam.first),
      'adam.second': vector(adam.second),
    },
    { 'crane.format': FORMAT, 'crane.state': JSON.stringify({ ...rest, adamStep: adam.step }) },
  );
}

/**
 * The state in a file; undefined if the file is missing.
 * @throws TrainingError `training/state` for a file of another kind; WeightsError for a damaged one
 */
export function readRunState(file: string): RunState | undefined {
  if (!fs.existsSync(file)) return undefined;
  const source = openTensorsSync(file);
  try {
    const text = source.metadata['crane.state'];
    if (source.metadata['crane.format'] !== FORMAT || text === undefined) {
      throw new TrainingError(
        'training/state',
        `${file} is not the state of a training run; move it away, or choose another folder with \`out\``,
        { file },
      );
    }
    // Only this program writes it, and atomically.
    const { adamStep, ...rest } = JSON.parse(text) as Omit<RunState, 'prompts' | 'adam'> & { adamStep: number };
    const names = [...source.entries.keys()].filter((name) => name.startsWith(PROMPT));
    const prompts = names.map(
      (name) =>
        [name.slice(PROMPT.length), { shape: source.entries.get(name)?.shape ?? [], data: source.read(name) }] as const,
    );
    return {
      ...rest,
      prompts: Object.fromEntries(prompts),
      adam: { step: adamStep, first: source.read('adam.first'), second: source.read('adam.second') },
    };
  } finally {
    source.close();
  }
}
