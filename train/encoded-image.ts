import * as tf from '@tensorflow/tfjs';
import { TrainingError } from '../lib/errors';
import { narrowToHalf, overflowOf, widenHalf } from '../lib/files/half';
import type { FeatureEncoder, TrainingBatch } from '../lib/methods/method';
import type { NetworkInput } from './network-input';

/** How patch features are kept. Halves lose less than 0.0005 of a feature of length one. */
export type FeaturePrecision = 'float16' | 'float32';

/** Everything that training needs of one image. */
export interface EncodedImage<Mask = Uint8Array> {
  readonly global: Float32Array; // [E]
  /** Halves as bit patterns, or whole floats. */
  readonly patches: readonly (Float32Array | Uint16Array)[]; // [N, E] each
  /** 1 where a pixel is anomalous; once it is made ready for the loss also the share of such pixels in each patch. */
  readonly mask: Mask; // [S, S], or [R, C]
}

/** An encoded image whose mask is of pixels or of patches, whichever the loss needs. */
export type LossImage = EncodedImage<Uint8Array | Float32Array>;

/** How large the parts of an encoded image are; equal for all images of a model. */
export interface EncodedSizes {
  readonly width: number; // E
  readonly patches: number; // N
  readonly sets: number;
  readonly imageSize: number; // S
}

/**
 * Encodes images together.
 * @param side S of the network inputs
 * @returns what each of them gives, in their order, in float32
 */
export async function encodeImages(
  encoder: Pick<FeatureEncoder, 'encode'>,
  batch: readonly NetworkInput[],
  side: number,
): Promise<EncodedImage[]> {
  if (batch.length === 0) return [];
  const features = tf.tidy(() => {
    const { global, patches } = encoder.encode(
      tf.concat(batch.map(({ pixels }) => tf.tensor4d(pixels, [1, side, side, 3]))),
    );
    return [global, ...patches] as tf.Tensor[];
  });
  try {
    const [global, ...patches] = (await Promise.all(features.map((tensor) => tensor.data()))) as [
      Float32Array,
      ...Float32Array[],
    ];
    const part = (values: Float32Array, index: number): Float32Array => {
      const length = values.length / batch.length;
      return values.slice(index * length, (index + 1) * length);
    };
    return batch.map(({ mask }, index) => ({
      global: part(global, index),
      patches: patches.map((set) => part(set, index)),
      mask,
    }));
  } finally {
    tf.dispose(features);
  }
}

/** @throws TrainingError `training/features` for features that are not finite */
export function refuseNotFinite(path: string, { global, patches }: EncodedImage): void {
  const features = [global, ...patches];
  if (features.every((feature) => Number.isFinite((feature as Float32Array).reduce((sum, value) => sum + value, 0))))
    return;
  throw new TrainingError(
    'training/features',
    `${path}: its features are NaN or infinite; check the backbone's weights`,
    { path },
  );
}

/** Bytes of an encoded image as `packImage` writes it. */
export function packedBytes({ width, patches, sets, imageSize }: EncodedSizes): number {
  return 4 * width + 2 * sets * patches * width + Math.ceil(imageSize ** 2 / 8);
}

/**
 * Patch features as halves, bit patterns; those that are so already as they are.
 * @throws TrainingError `training/precision` where one lies beyond float16
 */
export function halvesOf(features: Float32Array | Uint16Array): Uint16Array {
  if (features instanceof Uint16Array) return features;
  const overflow = overflowOf(features, 'float16');
  if (overflow) {
    throw new TrainingError(
      'training/precision',
      `a patch feature is ${overflow.value}, beyond the largest float16, ${overflow.largest}: features of this backbone cannot be kept in half precision; train with \`precision: 'float32'\``,
      { value: overflow.value, largest: overflow.largest },
    );
  }
  return narrowToHalf(features);
}

/** An encoded image as bytes: the global feature in float32, patch features in float16, one bit per pixel of the mask. */
export function packImage({ global, patches, mask }: EncodedImage): Uint8Array {
  const halves = patches.map(halvesOf);
  const bits = new Uint8Array(Math.ceil(mask.length / 8));
  for (let index = 0; index < mask.length; index++) {
    if (mask[index] !== 0) bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7));
  }
  return Buffer.concat(
    [global, ...halves, bits].map(
      ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength),
    ),
  );
}

/**
 * What `packImage` packed.
 * @param bytes at the start of a buffer of their own, which the features then share
 * @returns null where their number is not that of the sizes
 */
export function unpackImage({ buffer, byteLength }: Uint8Array<ArrayBuffer>, sizes: EncodedSizes): EncodedImage | null {
  if (byteLength !== packedBytes(sizes)) return null;
  const { width, patches, sets, imageSize } = sizes;
  const bits = new Uint8Array(buffer, 4 * width + 2 * sets * patches * width);
  const mask = new Uint8Array(imageSize ** 2);
  for (let index = 0; index < mask.length; index++) mask[index] = ((bits[index >> 3] as number) >> (index & 7)) & 1;
  return {
    global: new Float32Array(buffer, 0, width),
    patches: Array.from(
      { length: sets },
      (_, set) => new Uint16Array(buffer, 4 * width + 2 * set * patches * width, patches * width),
    ),
    mask,
  };
}

/**
 * Joins images into a batch of tensors, which the caller disposes with `disposeBatch`.
 * @param labels 1 where the image is anomalous, else 0
 * @param maskSize of all masks: `[S, S]` or `[R, C]`
 */
export function batchOf(
  images: readonly LossImage[],
  labels: readonly number[],
  { width, patches, sets }: EncodedSizes,
  maskSize: readonly [number, number],
): TrainingBatch {
  const count = images.length;
  return {
    global: tf.tensor2d(joined(images.map(({ global }) => global)), [count, width]),
    patches: Array.from({ length: sets }, (_, set) =>
      tf.tensor3d(joined(images.map((image) => image.patches[set] as Float32Array | Uint16Array)), [
        count,
        patches,
        width,
      ]),
    ),
    masks: tf.tensor3d(joined(images.map(({ mask }) => mask)), [count, ...maskSize]),
    labels: tf.tensor1d([...labels], 'int32'),
  };
}

/** Parts one after the other as floats; 16-bit numbers are halves. */
function joined(parts: readonly (Float32Array | Uint16Array | Uint8Array)[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    if (part instanceof Uint16Array) widenHalf(part, whole, at);
    else whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function disposeBatch({ global, patches, masks, labels }: TrainingBatch): void {
  tf.dispose([global, ...patches, masks, labels]);
}

/**
 * Share of anomalous pixels in each patch.
 * @param mask `[size, size]` of 0 and 1
 * @returns `[rows, columns]`, 0 to 1
 */
export function anomalousShares(
  mask: Uint8Array,
  size: number,
  [rows, columns]: readonly [number, number],
): Float32Array {
  const [height, width] = [size / rows, size / columns];
  const shares = new Float32Array(rows * columns);
  for (let y = 0; y < size; y++) {
    const row = Math.floor(y / height) * columns;
    for (let x = 0; x < size; x++) {
      const at = row + Math.floor(x / width);
      shares[at] = (shares[at] as number) + (mask[y * size + x] as number);
    }
  }
  return shares.map((count) => count / (height * width));
}
