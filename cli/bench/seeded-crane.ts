import * as tf from '@tensorflow/tfjs';
import { completeModelOptions } from '../../lib/methods/crane/options';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { ClipTextEncoder } from '../../lib/encoders/clip-text';
import { ClipVisionEncoder } from '../../lib/encoders/clip-vision';
import type { ParameterSource } from '../../lib/layers/crane-layer';
import { ANOMALOUS_WORDS, NORMAL_WORDS, PROMPT_SIZES } from '../../lib/methods/crane/build';
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
  const words = { normalWords: tokenizer.encode(NORMAL_WORDS), anomalousWords: tokenizer.encode(ANOMALOUS_WORDS) };
  const { startToken, endToken } = tokenizer;
  const tokenIds = [...new Set([0, startToken, endToken, ...words.normalWords, ...words.anomalousWords])].sort(
    (a, b) => a - b,
  );
  const common = { embedDimension: sizes.embedDimension, activation: 'quick-gelu' as const, parameters: seededValues };
  const options = completeModelOptions({ imageSize }, sizes);
  const prompts = {
    ...PROMPT_SIZES,
    ...words,
    width: sizes.text.width,
    depth: Math.min(PROMPT_SIZES.depth, sizes.text.layers),
    contextPosition: options.contextPosition,
    startToken,
    endToken,
    trainable: true,
    roundGradients: tokens !== 'once',
    parameters: seededValues,
  };
  return new CraneModel({
    options,
    vision: new ClipVisionEncoder({
      ...common,
      sizes: sizes.vision,
      eattnBlocks: options.eattnBlocks,
      attention: options.attention,
    }),
    text: new ClipTextEncoder({ ...common, sizes: sizes.text, tokenIds }),
    prompts: tokens === 'all' ? new FullLengthPrompts(prompts) : new LearnablePrompts(prompts),
  });
}

const seededValues: ParameterSource = (path, shape) => {
  if (/bias$/.test(path)) return tf.zeros(shape);
  if (/ln_\w+\.weight$/.test(path)) return tf.ones(shape);
  const uniform = seededUniform(path);
  const count = shape.reduce((product, size) => product * size, 1);
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) values[index] = 2 * Math.sqrt(3) * SPREAD * (uniform() - 0.5);
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
