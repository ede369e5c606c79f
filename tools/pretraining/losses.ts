import * as tf from '@tensorflow/tfjs';

/** CLIP's scoring temperature for patches and images (docs/method.md#similarity). */
const TEMPERATURE = 0.07;

/** Rows scaled to unit length. `[…, E]` in and out. */
export function unit<T extends tf.Tensor>(features: T): T {
  return tf.tidy(() => tf.mul(features, tf.rsqrt(tf.add(tf.sum(tf.square(features), -1, true), 1e-12)))) as T;
}

/** Large enough to vanish in any softmax. */
const MASKED = 1e9;

/**
 * CLIP's symmetric loss, in which captions that are true of an image but belong to another count neither for nor
 * against it.
 * @param images unit features `[B, E]`
 * @param texts unit features of each image's caption `[B, E]`
 * @param alsoTrue 1 where caption j is also true of image i `[B, B]`
 * @param logitScale logarithm of the factor on similarities, a scalar
 */
export function contrastiveLoss(
  images: tf.Tensor2D,
  texts: tf.Tensor2D,
  alsoTrue: tf.Tensor2D,
  logitScale: tf.Tensor,
): tf.Scalar {
  return tf.tidy(() => {
    const similarity = tf.mul(tf.matMul(images, texts, false, true), tf.exp(logitScale)); // [B, B]
    const logits = tf.sub(similarity, tf.mul(alsoTrue, MASKED)) as tf.Tensor2D;
    const own = tf.sum(tf.mul(images, texts), 1); // [B]
    const agreed = tf.mul(tf.mean(own), tf.exp(logitScale));
    const overTexts = tf.mean(tf.logSumExp(logits, 1));
    const overImages = tf.mean(tf.logSumExp(logits, 0));
    return tf.sub(tf.mul(tf.add(overTexts, overImages), 0.5), agreed) as tf.Scalar;
  });
}

/** Binary cross-entropy of logits with soft targets, elementwise: `softplus(x) − x·target`. */
export function crossEntropy(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.sub(tf.softplus(logits), tf.mul(logits, targets)));
}

/**
 * How far patches are from locating the defect: cross-entropy of the two-way softmax over the prompt pair with
 * the share of defect in each patch.
 * @param patches unit features `[B, N, E]`
 * @param direction damaged minus normal text feature of each image's prompt pair, both of unit length `[B, E]`
 * @param targets 0 to 1 `[B, N]`
 * @param weights of the patches `[B, N]`, adding up to one
 */
export function denseLoss(
  patches: tf.Tensor3D,
  direction: tf.Tensor2D,
  targets: tf.Tensor2D,
  weights: tf.Tensor2D,
): tf.Scalar {
  return tf.tidy(() => tf.sum(tf.mul(crossEntropy(patchLogits(patches, direction), targets), weights)) as tf.Scalar);
}

/** Logits of "damaged" against "normal" for every patch. `[B, N]` */
export function patchLogits(patches: tf.Tensor3D, direction: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const [batch, count, width] = patches.shape;
    const products = tf.matMul(patches, tf.reshape(direction, [batch, width, 1]) as tf.Tensor3D); // [B, N, 1]
    return tf.div(tf.reshape(products, [batch, count]), TEMPERATURE) as tf.Tensor2D;
  });
}

/**
 * Crane's image feature: the class token and the patches, weighted by how damaged they look (docs/method.md#pooling).
 * @param images unit class features `[B, E]`
 * @param patches unit features `[B, N, E]`
 * @param logits of the patches `[B, N]`
 * @returns `[B, E]`, of unit length
 */
export function pooledFeature(images: tf.Tensor2D, patches: tf.Tensor3D, logits: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const [batch, count, width] = patches.shape;
    const weights = tf.reshape(tf.sigmoid(logits), [batch, 1, count]) as tf.Tensor3D;
    const pooled = tf.reshape(tf.matMul(weights, patches), [batch, width]) as tf.Tensor2D;
    return unit(tf.mul(tf.add(unit(pooled), images), 0.5)) as tf.Tensor2D;
  });
}

/**
 * Cross-entropy of normal or damaged, per image.
 * @param features unit `[B, E]`
 * @param labels 0 or 1 `[B]`
 * @param weights of the images `[B]`, adding up to one
 */
export function stateLoss(
  features: tf.Tensor2D,
  direction: tf.Tensor2D,
  labels: tf.Tensor1D,
  weights: tf.Tensor1D,
): tf.Scalar {
  return tf.tidy(() => {
    const logits = tf.div(tf.sum(tf.mul(features, direction), 1), TEMPERATURE);
    return tf.sum(tf.mul(crossEntropy(logits, labels), weights)) as tf.Scalar;
  });
}
