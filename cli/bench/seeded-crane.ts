import * as tf from '@tensorflow/tfjs';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import type { ClipTextEncoder } from '../../lib/encoders/clip-text';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import type { ParameterSource } from '../../lib/layers/crane-layer';
import type { Backbone } from '../../lib/methods/backbone';
import { ANOMALOUS_WORDS, buildCraneModel, NORMAL_WORDS } from '../../lib/methods/crane/build';
import { CraneModel } from '../../lib/methods/crane/model';
import { LearnablePrompts } from '../../lib/prompts/learnable-prompts';
import { ClipTokenizer } from '../../lib/prompts/tokenizer';
import { seededUniform } from '../../lib/weights/seeded';

/** Numbers of the spread that a trained network's have, in the time that drawing normal ones would take several times. */
const SPREAD = 0.03;

export interface SeededCraneOptions {
  readonly sizes: ClipSizes;
  readonly imageSize: number;
  /**
   * Which tokens the text encoder computes: `all`, as the reference does; `needed`, those up to the end of the longest prompt;
   * `once`, as `crane train --no-round-gradients` does, of those what the prompts of a batch have in common once. Default `once`.
   */
  readonly tokens?: 'all' | 'needed' | 'once';
}

/** A Crane of given shapes with seeded weights and trainable prompts: speed and memory do not ask what the numbers mean. */
export function seededCrane({ sizes, imageSize, tokens = 'once' }: SeededCraneOptions): CraneModel {
  const tokenizer = ClipTokenizer.embedded();
  const words = [NORMAL_WORDS, ANOMALOUS_WORDS].flatMap((text) => tokenizer.encode(text));
  const tokenIds = [...new Set([0, tokenizer.startToken, tokenizer.endToken, ...words])].sort((a, b) => a - b);
  const backbone: Backbone = {
    name: 'seeded',
    path: '',
    sizes,
    activation: 'quick-gelu',
    preprocessing: CLIP_PREPROCESSING,
    saysInput: false,
    tokenizer,
    tokenIds,
    parameters: seededValues,
    guesses: [],
    finish: () => undefined,
    sha256: async () => '',
    close: () => undefined,
  };
  const model = buildCraneModel(backbone, {
    prompts: { seed: 1 },
    options: { imageSize },
    trainablePrompts: true,
    roundGradients: tokens !== 'once',
  });
  if (tokens !== 'all') return model;
  const prompts = new FullLengthPrompts(model.prompts.config);
  model.prompts.dispose();
  return new CraneModel({ vision: model.vision, text: model.text, options: model.options, prompts });
}

const seededValues: ParameterSource = (path, shape) => {
  if (/bias$/.test(path)) return tf.zeros(shape);
  if (/ln_\w+\.weight$/.test(path)) return tf.ones(shape);
  const uniform = seededUniform(path);
  const values = new Float32Array(tf.util.sizeFromShape(shape));
  for (let index = 0; index < values.length; index++) values[index] = 2 * Math.sqrt(3) * SPREAD * (uniform() - 0.5);
  return tf.tensor(values, shape);
};

/** Prompts with padding up to the text encoder's context length, all of which is computed, as the reference does. */
class FullLengthPrompts extends LearnablePrompts {
  static override readonly className = 'FullLengthPrompts';

  override encode(text: ClipTextEncoder, image?: tf.Tensor2D): tf.Tensor3D {
    return tf.tidy(() => {
      const { embedded, endPositions } = this.assemble(text, image);
      const [rows, length] = embedded.shape;
      const padding = text.config.sizes.contextLength - length;
      const zeros = Array.from({ length: rows }, () => Array.from({ length: padding }, () => 0));
      const whole = tf.concat([embedded, text.embed(zeros)], 1); // [2·B, 77, D]
      const features = text.forward(whole, endPositions, this.deepTokensFor(rows)); // [2·B, E]
      return tf.transpose(tf.reshape(features, [2, rows / 2, -1]) as tf.Tensor3D, [1, 0, 2]);
    });
  }
}
