/**
 * What programs that use `crane-tfjs` may write, and what they may not. `npm run typecheck` reads this file, nothing runs it; that
 * each expected error would be missed where a type became looser is tested in types.test.ts.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Sharp } from 'sharp';
import {
  AnomalyMap,
  Crane,
  CraneError,
  ImageError,
  prepareBackend,
  train,
  UsageError,
  WatchedFolder,
  type BackendInfo,
  type CraneErrorCode,
  type CraneOptions,
  type Detection,
  type Fusion,
  type OnProgress,
  type TrainingResult,
} from '../../index';

export async function loading(): Promise<void> {
  const options: CraneOptions = { backbone: 'ViT-L/14@336px', prompts: 'crane-visa', imageSize: 518, offline: true };
  await Crane.load(options);
  await Crane.load();
  await Crane.load({ spatial: 'dinov2', fusion: 'logit' });
  await Crane.load({ spatial: { model: 'sam', weights: 'sam_vit_b.pth' }, heads: { vision: 12 } });
  // @ts-expect-error the option is called backbone
  await Crane.load({ backBone: 'nano' });
  // @ts-expect-error there is no such fusion
  await Crane.load({ fusion: 'hard' });
  // @ts-expect-error a size is a number
  await Crane.load({ imageSize: '518' });
  // @ts-expect-error layers are a list
  await Crane.load({ layers: 24 });
  // @ts-expect-error there is no such kind of second model
  await Crane.load({ spatial: { model: 'clip' } });
  // @ts-expect-error there is no such backend
  await Crane.load({ backend: 'cuda' });
  // @ts-expect-error options are an object
  await Crane.load('nano');
  // @ts-expect-error a model is loaded, not made
  new Crane();
  // @ts-expect-error there is no such activation
  const wrong: CraneOptions = { activation: 'relu' };
  // @ts-expect-error options do not change once they are made
  options.backbone = 'nano';
  void wrong;
}

export async function detecting(crane: Crane, image: Sharp, tensor: tf.Tensor3D): Promise<Detection[]> {
  const { signal } = new AbortController();
  const one: Detection = await crane.detect('part.png');
  const same: readonly Detection[] = await crane.detect(['part.png', new URL('file:///part.png'), image, tensor], {
    signal,
  });
  await crane.detect({ data: new Uint8Array(12), width: 2, height: 2, channels: 3 });
  // @ts-expect-error raw pixels say how many channels they have
  await crane.detect({ data: new Uint8Array(12), width: 2, height: 2 });
  // @ts-expect-error five channels are no image
  await crane.detect({ data: new Uint8Array(20), width: 2, height: 2, channels: 5 });
  // @ts-expect-error a number is no image
  await crane.detect(7);
  // @ts-expect-error the signal is an AbortSignal
  await crane.detect('part.png', { signal: true });
  // @ts-expect-error a batch size belongs to a stream
  await crane.detect('part.png', { batchSize: 4 });
  // @ts-expect-error of a list comes a list
  const { score } = await crane.detect(['part.png']);
  // @ts-expect-error of one image comes no list
  void (await crane.detect('part.png')).length;
  void score;
  return [one, ...same];
}

export async function streaming(crane: Crane, signal: AbortSignal): Promise<void> {
  const watched = new WatchedFolder('incoming', { settle: 100 });
  for await (const { source, score, map } of crane.stream(watched, {
    signal,
    onFailure: ({ error }) => void error.message,
  })) {
    const text: string = source;
    const value: number = score;
    const mask: Uint8Array = map.toMask(0.5);
    void [text, value, mask];
  }
  // @ts-expect-error a number is no source of images
  crane.stream(3);
  // @ts-expect-error the option is called onFailure
  crane.stream('folder', { onError: () => undefined });
  // @ts-expect-error a path is text
  new WatchedFolder(5);
}

export async function maps(map: AnomalyMap): Promise<void> {
  const values: Float32Array = map;
  const [height, width]: readonly [number, number] = map.shape;
  await map.save('part.png', { as: 'mask', threshold: 0.5, colormap: 'jet' });
  await map.render('heatmap');
  // @ts-expect-error there is no such form
  await map.save('part.png', { as: 'image' });
  // @ts-expect-error there is no such colormap
  await map.save('part.png', { colormap: 'viridis' });
  // @ts-expect-error raw values are saved, not rendered
  await map.render('map');
  // @ts-expect-error a mask needs a threshold
  map.toMask();
  // @ts-expect-error a map has a width and a height
  new AnomalyMap({ data: values });
  // @ts-expect-error its width stays
  map.width = 3;
  void [height, width];
}

export async function ending(): Promise<void> {
  await using first = await Crane.load();
  using second = await Crane.load();
  void [first, second];
}

export async function training(): Promise<string> {
  const onProgress: OnProgress = (progress) => {
    if (progress.kind === 'advance') void (progress.done / progress.total);
    // @ts-expect-error only an advance says how much is done
    if (progress.kind === 'done') void progress.total;
  };
  const run = train({ auxiliary: ['visa', 'sets/own'], training: { epochs: 3, validate: 0.1 }, onProgress });
  for await (const { step, steps, total } of run.steps()) {
    const sum: number = step + steps + total;
    void sum;
  }
  const result: TrainingResult = await run.result;
  // @ts-expect-error the set is called auxiliary
  train({ dataset: 'visa' });
  // @ts-expect-error epochs belong to `training`
  train({ auxiliary: 'visa', epochs: 3 });
  // @ts-expect-error epochs are a number
  train({ auxiliary: 'visa', training: { epochs: 'three' } });
  // @ts-expect-error there is no such interpolation
  train({ auxiliary: 'visa', training: { interpolation: 'cubic' } });
  // @ts-expect-error a run's result is waited for
  void run.result.prompts;
  return result.prompts;
}

export function failing(error: unknown): string {
  return error instanceof CraneError ? errors(error) : 'unknown';
}

function errors(error: CraneError): string {
  const code: CraneErrorCode = error.code;
  // @ts-expect-error there is no such code
  if (error.code === 'image/corrupted') return 'misspelt';
  // @ts-expect-error codes stay as they are
  error.code = 'image/corrupt';
  // @ts-expect-error no error has this code
  new UsageError('usage/whatever', 'message');
  // @ts-expect-error an error says what is wrong
  new ImageError('image/corrupt');
  // @ts-expect-error the source is the name of the image
  new ImageError('image/corrupt', 'damaged', { source: 7 });
  return error.data.source ?? code;
}

export async function backends(): Promise<string | null> {
  const info: BackendInfo = await prepareBackend('wasm', { threads: 2 });
  // @ts-expect-error there is no such backend
  await prepareBackend('gpu');
  const fusion: Fusion = 'soft';
  // @ts-expect-error without a GPU there is no device
  const device: string = info.device;
  void [fusion, device];
  return info.warning;
}
