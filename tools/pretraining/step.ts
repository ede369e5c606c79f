import * as tf from '@tensorflow/tfjs';
import { classToken, patchTokens } from '../../lib/encoders/clip-vision';
import type { ClipTokenizer } from '../../lib/prompts/tokenizer';
import { captionBatch, conditionsOf, type BatchImages } from './batches';
import { contrastiveLoss, denseLoss, patchLogits, pooledFeature, stateLoss, unit } from './losses';
import type { NanoNetwork } from './network';
import { NANO_SIZES, stageAt, type Recipe } from './recipe';
import { promptPairsOf } from './texts';

export interface StepLosses {
  readonly total: number;
  readonly contrastive: number;
  readonly dense: number;
  readonly state: number;
}

/** A patch counts as fully damaged once the defect covers a third of it: thin defects never fill one. */
const FULL_COVERAGE = 1 / 3;
/** Damaged patches are rare, so each counts this much more than a normal one. */
const DAMAGED_WEIGHT = 3;

/**
 * The loss of one batch and its gradients.
 * @returns gradients in the order of `network.variables`, which the caller disposes
 */
export function lossAndGradients(
  network: NanoNetwork,
  tokenizer: ClipTokenizer,
  recipe: Recipe,
  step: number,
  batch: BatchImages,
): { losses: StepLosses; gradients: tf.Tensor[] } {
  const { size, batch: count } = batch.phase;
  const patches = (size / NANO_SIZES.vision.patchSize) ** 2;
  const conditions = conditionsOf(batch);
  const { captions, alsoTrue } = captionBatch(recipe, step, batch, conditions);
  const prompts = promptPairsOf(recipe, step);
  const texts = [...new Set([...captions, ...prompts.flatMap(({ normal, damaged }) => [normal, damaged])])];
  const rowOf = new Map(texts.map((text, row) => [text, row]));
  const rows = (wanted: readonly string[]): tf.Tensor1D =>
    tf.tensor1d(
      wanted.map((text) => rowOf.get(text) as number),
      'int32',
    );
  // Both images of a pair are compared with the same prompts.
  const promptOf = (image: number) => prompts[(image >> 1) % prompts.length] as (typeof prompts)[number];

  const targets = Float32Array.from(batch.coverage, (share) => Math.min(1, share / FULL_COVERAGE));
  const weights = normalised(Float32Array.from(targets, (target) => 1 + (DAMAGED_WEIGHT - 1) * target));
  const stateWeights = normalised(Float32Array.from(conditions, (condition) => (condition === 'unclear' ? 0 : 1)));
  const labels = Float32Array.from(conditions, (condition) => (condition === 'damaged' ? 1 : 0));

  let parts: tf.Tensor | undefined;
  const { value, grads } = tf.variableGrads(() => {
    const features = unit(network.text.encode(texts.map((text) => tokenizer.tokenize(text)))); // [T, E]
    const own = tf.gather(features, rows(captions)) as tf.Tensor2D; // [C, E]
    const images = Array.from({ length: count }, (_, image) => image);
    const direction = tf.sub(
      tf.gather(features, rows(images.map((image) => promptOf(image).damaged))),
      tf.gather(features, rows(images.map((image) => promptOf(image).normal))),
    ) as tf.Tensor2D; // [B, E]

    const pixels = tf.tensor4d(batch.images, [count, size, size, 3]);
    const { tokens, taps } = network.vision.forward(pixels, { training: true });
    const spatial = [...taps.values()].at(-1) as tf.Tensor3D;
    const global = unit(network.vision.project(classToken(tokens))) as tf.Tensor2D; // [B, E]
    const dense = unit(network.vision.project(patchTokens(spatial))) as tf.Tensor3D; // [B, N, E]
    const plain = unit(network.vision.project(patchTokens(tokens))) as tf.Tensor3D; // [B, N, E]

    const target = tf.tensor2d(targets, [count, patches]);
    const weight = tf.tensor2d(weights, [count, patches]);
    const contrastive = contrastiveLoss(
      tf.slice(global, [0, 0], own.shape),
      own,
      tf.tensor2d(alsoTrue, [captions.length, captions.length]),
      network.logitScale,
    );
    const denseBoth = tf.mul(
      tf.add(denseLoss(dense, direction, target, weight), denseLoss(plain, direction, target, weight)),
      0.5,
    );
    const label = tf.tensor1d(labels);
    const labelWeight = tf.tensor1d(stateWeights);
    const pooled = pooledFeature(global, dense, patchLogits(dense, direction));
    const state = tf.mul(
      tf.add(stateLoss(pooled, direction, label, labelWeight), stateLoss(global, direction, label, labelWeight)),
      0.5,
    );

    parts = tf.keep(tf.stack([contrastive, denseBoth as tf.Scalar, state as tf.Scalar]));
    const of = stageAt(recipe, step).weights;
    return tf.addN([
      tf.mul(contrastive, of.contrastive),
      tf.mul(denseBoth, of.dense),
      tf.mul(state, of.state),
    ]) as tf.Scalar;
  }, network.variables as tf.Variable[]);

  const [contrastive, dense, state] = (parts as tf.Tensor).dataSync() as unknown as [number, number, number];
  const losses = { total: value.dataSync()[0] as number, contrastive, dense, state };
  tf.dispose([value, parts as tf.Tensor]);
  return { losses, gradients: network.variables.map((variable) => grads[variable.name] as tf.Tensor) };
}

function normalised(weights: Float32Array): Float32Array {
  let sum = 0;
  for (const weight of weights) sum += weight;
  return weights.map((weight) => weight / Math.max(sum, 1e-12));
}
