/**
 * A model of TensorFlow.js with layers of Crane in it: the frozen image encoder of *nano*, a layer of one's own, and a head that is
 * trained to tell bright from dark images.
 */
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from 'crane-tfjs';
import { ClipVisionEncoder, openBackbone } from 'crane-tfjs/layers';

/** Scales features to length 1: [B, E] to [B, E]. */
class UnitLength extends tf.layers.Layer {
  static readonly className = 'UnitLength';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const features = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor2D; // [B, E]
      return tf.div(features, tf.norm(features, 'euclidean', 1, true));
    });
  }
}
tf.serialization.registerClass(UnitLength);

async function main(): Promise<void> {
  await prepareBackend();
  const { sizes, activation, parameters, close } = await openBackbone('nano', { offline: true });
  const { vision, embedDimension } = sizes;
  const options = { sizes: vision, embedDimension, activation, parameters } as const;
  const encoder = new ClipVisionEncoder({ ...options, eattnBlocks: 0, attention: 'qq+kk+vv' });
  close();

  const side = vision.gridSize * vision.patchSize;
  const images = tf.input({ shape: [side, side, 3] });
  const [feature] = encoder.apply(images) as tf.SymbolicTensor[]; // [B, E], [B, N, E]
  const unit = new UnitLength({}).apply(feature as tf.SymbolicTensor);
  const head = tf.layers.dense({ units: 1, activation: 'sigmoid' }).apply(unit) as tf.SymbolicTensor;
  const model = tf.model({ inputs: images, outputs: head });
  model.compile({ optimizer: tf.train.adam(0.1), loss: 'binaryCrossentropy' });

  const bright = tf.concat([tf.fill([4, side, side, 3], -1.5), tf.fill([4, side, side, 3], 1.5)]); // [8, S, S, 3]
  const labels = tf.tensor2d([0, 0, 0, 0, 1, 1, 1, 1], [8, 1]);
  const { history } = await model.fit(bright, labels, { epochs: 8, verbose: 0 });
  const losses = history['loss'] as number[];
  console.log(`loss ${losses[0]?.toFixed(3)} to ${losses.at(-1)?.toFixed(3)}`);
  tf.dispose([bright, labels]);
  model.dispose();
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
