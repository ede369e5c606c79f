/**
 * A program for the tests of WebGPU, in a process of its own, because the driver is found by the true environment: computes
 * the same things on the backend that `auto` takes and on WebGPU, then makes errors, prints all as JSON, and ends by
 * having nothing left to do.
 */
import * as tf from '@tensorflow/tfjs';
import { prepareBackend, type BackendChoice } from '../../lib/backend';
import { Crane } from '../../index';
import { startWebgpuBackend } from '../../lib/backend/webgpu';
import type { CraneModel } from '../../lib/methods/crane/model';
import type { ImageFeatures } from '../../lib/methods/method';
import { Trainer } from '../../train/trainer';
import { goldenImages, goldenTensor } from '../tensors';
import { tinyCrane } from '../tiny-crane';
import { tinySpatial } from '../tiny-spatial';

export interface WebgpuFindings {
  readonly info: Record<string, unknown>;
  /** By what was computed: on the one backend, and on WebGPU. */
  readonly values: Readonly<Record<string, readonly [usual: number[], webgpu: number[]]>>;
  readonly leaked: number;
  /** Whether the process has been made to look like a browser. */
  readonly navigatorChanged: boolean;
  /** Bytes of a tensor: what the adapter could take, and what the open device takes. */
  readonly limits: readonly [adapter: number, device: number];
  readonly errors: Readonly<Record<'hardwareOnly' | 'tooLarge' | 'device' | 'afterwards', string>>;
}

type Values = Record<string, number[]>;

async function main(): Promise<void> {
  const navigator = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const usual = await computeOn('auto');
  const info = await prepareBackend('webgpu');
  const before = tf.memory().numTensors;
  const webgpu = await computeOn('webgpu');
  const leaked = tf.memory().numTensors - before;
  const navigatorChanged =
    Object.getOwnPropertyDescriptor(globalThis, 'navigator')?.get !== navigator?.get ||
    'navigator' in globalThis !== (navigator !== undefined);
  const values = Object.fromEntries(
    Object.entries(usual).map(([name, numbers]) => [name, [numbers, webgpu[name] ?? []] as const]),
  );
  const findings: WebgpuFindings = {
    info: { ...info },
    values,
    leaked,
    navigatorChanged,
    limits: await limits(),
    errors: await errors(),
  };
  process.stdout.write(JSON.stringify(findings));
}

async function computeOn(choice: BackendChoice): Promise<Values> {
  await prepareBackend(choice);
  return { ...(await detection(choice)), ...(await training()), ...(await spatialFeatures()) };
}

/** The embedded model, from pixels to map. */
async function detection(backend: BackendChoice): Promise<Values> {
  const crane = await Crane.load({ backend });
  const { score, map } = await crane.detect({ data: picture(), width: 96, height: 80, channels: 3 });
  crane.dispose();
  return { 'score of nano': [score], 'map of nano': [...map] };
}

/** The goldens' network, which a step of training sees as well: losses, gradients, and prompts after the step. */
async function training(): Promise<Values> {
  const model = tinyCrane({
    layers: [2, 4, 6],
    roundDeepTokens: false,
    trainablePrompts: true,
    promptsFrom: (path) => `train.safetensors#start.${path}`,
  });
  const trainer = new Trainer(model);
  const features = encode(model);
  const masks = tf.tidy(() => tf.squeeze<tf.Tensor3D>(goldenTensor<tf.Rank.R4>('train.safetensors#masks'), [1]));
  const batch = { ...features, masks, labels: goldenTensor<tf.Rank.R1>('train.safetensors#labels') };
  const { losses, gradients } = await trainer.gradients(batch);
  await trainer.step(batch);
  const { adam } = await trainer.state();
  const values: Values = { losses: [losses.focal, losses.dice, losses.image], moments: [...adam.first] };
  for (const [name, gradient] of Object.entries(gradients)) values[`gradient of ${name}`] = await numbers(gradient);
  for (const [name, { data }] of Object.entries(await trainer.values())) values[`${name} after a step`] = [...data];
  tf.dispose([masks, batch.labels]);
  Object.assign(values, await numbersOf(features, 'crane'));
  trainer.dispose();
  model.dispose();
  return values;
}

/** The goldens' network with a second model. */
async function spatialFeatures(): Promise<Values> {
  const model = tinyCrane({ spatial: tinySpatial('dinov2'), layers: [6] });
  const values = await numbersOf(encode(model), 'crane+');
  model.dispose();
  return values;
}

function encode(model: CraneModel): ImageFeatures {
  const images = goldenImages('train.safetensors#images');
  const features = model.encodeImages(images);
  images.dispose();
  return features;
}

/** Consumes the features. */
async function numbersOf({ global, patches }: ImageFeatures, method: string): Promise<Values> {
  const values: Values = { [`image features of ${method}`]: await numbers(global) };
  for (const [index, set] of patches.entries()) values[`patch features ${index} of ${method}`] = await numbers(set);
  return values;
}

async function limits(): Promise<[number, number]> {
  const { largestTensor } = await startWebgpuBackend({ hardwareOnly: false });
  const { device } = tf.backend() as unknown as {
    device: { limits: { maxBufferSize: number; maxStorageBufferBindingSize: number } };
  };
  return [largestTensor, Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize)];
}

async function errors(): Promise<WebgpuFindings['errors']> {
  const { largestTensor } = await startWebgpuBackend({ hardwareOnly: false });
  const hardwareOnly = await codeOf(() => startWebgpuBackend({ hardwareOnly: true }));
  const tooLarge = await codeOf(async () => tf.tidy(() => tf.fill([largestTensor / 4 + 1], 1)));
  const fine = tf.ones([2000]).add(1);
  const { device } = tf.backend() as unknown as { device: { createBuffer(descriptor: object): void } };
  device.createBuffer({ size: 16, usage: 0xffff });
  return {
    hardwareOnly,
    tooLarge,
    device: await codeOf(() => fine.data()),
    afterwards: await codeOf(() => tf.ones([2000]).add(1).data()),
  };
}

async function codeOf(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
    return 'no error';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** Consumes the tensor. */
async function numbers(tensor: tf.Tensor): Promise<number[]> {
  const data = [...(await tensor.data())];
  tensor.dispose();
  return data;
}

function picture(): Uint8Array {
  return Uint8Array.from({ length: 96 * 80 * 3 }, (_, index) => (index * 7 + (index % 96) * (index % 13)) % 256);
}

void main();
