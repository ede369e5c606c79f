import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { machineText, type MachineDescription } from '../../cli/bench/machine';
import { median } from '../../cli/bench/part';
import { seededCrane } from '../../cli/bench/seeded-crane';
import { prepareBackend } from '../../lib/backend';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { expectClose } from '../goldens';
import { runCrane } from './run-crane';

const sizes: ClipSizes = {
  embedDimension: 128,
  vision: { width: 64, layers: 1, heads: 1, patchSize: 8, gridSize: 2 },
  text: { width: 128, layers: 3, heads: 2, contextLength: 77, vocabularySize: 49408 },
};

test('wrong numbers are wrong use', async () => {
  const wrong = await runCrane('bench', '--training', '--runs', '0');
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('--runs 0: expected a whole number, 1 or more')]);
});

test('the steps that are compared compute the same', async () => {
  await prepareBackend();
  const image = tf.randomNormal<tf.Rank.R2>([3, 128], 0, 1, 'float32', 1);
  const features: Float32Array[] = [];
  for (const tokens of ['all', 'needed', 'once'] as const) {
    const model = await seededCrane(sizes, 16, tokens);
    features.push(tf.tidy(() => model.prompts.encode(model.text, image).dataSync<'float32'>()));
    model.dispose();
  }
  expectClose(features[1] as Float32Array, features[0] as Float32Array, 1e-5);
  expectClose(features[2] as Float32Array, features[0] as Float32Array, 1e-5);
  image.dispose();
});

test('the training part, at small shapes, as a table and for programs', async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'crane-bench-')), 'bench.json');
  const { code, out } = await runCrane('bench', '--training', '--small', '--runs', '1', '--json', file);
  expect(code).toBe(0);
  expect(out).toMatch(/^step, all 77 tokens +[\d.]+ +1$/m);
  expect(out).toMatch(/^image, from the cache \(10\.\d kB\)/m);
  const result = JSON.parse(fs.readFileSync(file, 'utf8')) as {
    machine: object;
    training: Record<string, Record<string, number>>;
  };
  const { stepSeconds, stepRatio, epochSecondsPerImage, memoryBytes } = result.training as Record<
    string,
    Record<string, number>
  >;
  expect(result.machine).toMatchObject({ cores: expect.any(Number) as number, cpu: expect.any(String) as string });
  expect(stepRatio?.['commonOnce']).toBeCloseTo(
    (stepSeconds?.['commonOnce'] as number) / (stepSeconds?.['allTokens'] as number),
    10,
  );
  expect(result.training['epochRatio']).toBeCloseTo(
    (epochSecondsPerImage?.['withCache'] as number) / (epochSecondsPerImage?.['withoutCache'] as number),
    10,
  );
  // One step leaves as many tensors as the next.
  expect(memoryBytes?.['tensors']).toEqual([expect.any(Number), (memoryBytes?.['tensors'] as unknown as number[])[0]]);
  fs.rmSync(path.dirname(file), { recursive: true });
});

test('the machine, with its kernels and what to be warned of', () => {
  const machine: MachineDescription = {
    cpu: 'Test CPU',
    cores: 1,
    memoryBytes: 8e9,
    platform: 'linux x64',
    node: '20.0.0',
    crane: '0.1.0',
    backend: 'tensorflow',
    tensorflow: '2.21.0',
    threads: 2,
    gpu: false,
    kernels: { own: true, instructions: 'AVX2' },
    warning: null,
  };
  const first = 'Test CPU, 1 core, 8.0 GB; TensorFlow 2.21.0, 2 threads';
  expect(machineText(machine)).toBe(`${first}\nKernels: own attention and MLP kernels, AVX2`);
  expect(machineText({ ...machine, kernels: { own: false, reason: 'this processor has no AVX2' } })).toBe(
    `${first}\nKernels: plain TensorFlow operations, about half as fast;\n  this processor has no AVX2`,
  );
  expect(
    machineText({
      ...machine,
      backend: 'webgpu',
      tensorflow: null,
      threads: 1,
      kernels: null,
      warning: 'A processor plays the GPU.',
    }),
  ).toBe('Test CPU, 1 core, 8.0 GB; webgpu, 1 thread\nA processor plays the GPU.');
});

test('the median, by hand', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([7])]).toEqual([2, 2.5, 7]);
  expect(median([])).toBeNaN();
});
