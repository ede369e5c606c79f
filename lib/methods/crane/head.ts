import * as tf from '@tensorflow/tfjs';
import { mean } from '../../scoring/fusion';
import { pooledFeature } from '../../scoring/score-pooling';
import { similarity } from '../../scoring/similarity';
import type { ImageFeatures } from '../method';

export interface HeadOptions {
  readonly pixelTemperature: number;
  readonly imageTemperature: number;
  /** Score-based pooling of patch tokens into the image's feature. */
  readonly pooling: boolean;
  /** The weight of each feature set: how often it occurs. */
  readonly copies: readonly number[];
}

/** Similarities to the texts, normal then anomalous. */
export interface CraneLogits {
  readonly patches: readonly tf.Tensor3D[]; // [B, N, 2] for each feature set
  readonly image: tf.Tensor2D; // [B, 2]
}

/**
 * Computes logits from features and texts (docs/method.md#scores): what scoring and the loss have in common, each with
 * its own temperatures.
 * @param text `[1, 2, E]`, or `[B, 2, E]` if prompts are conditioned on the image
 */
export function craneLogits({ global, patches }: ImageFeatures, text: tf.Tensor3D, options: HeadOptions): CraneLogits {
  const { pixelTemperature, imageTemperature, pooling, copies } = options;
  const logits = patches.map((set) => similarity(set, text, pixelTemperature));
  const feature = pooling ? pooledFeature(global, mean(patches, copies), mean(logits, copies)) : global; // [B, E]
  const image = similarity(tf.expandDims(feature, 1) as tf.Tensor3D, text, imageTemperature); // [B, 1, 2]
  return { patches: logits, image: tf.squeeze(image, [1]) as tf.Tensor2D };
}
