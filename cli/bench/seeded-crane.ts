import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import type { ClipTextEncoder } from '../../lib/encoders/clip-text';
import { CraneModel } from '../../lib/methods/crane/model';
import { LearnablePrompts } from '../../lib/prompts/learnable-prompts';
import { buildModel, openRunWeights } from '../../train/run-weights';
import { TemporaryFolder, writeSeededBackbone } from './seeded-files';

/**
 * Which tokens the text encoder computes: `all`, as the reference does; `needed`, those up to the end of the longest prompt;
 * `once`, as `crane train --no-round-gradients` does, of those what the prompts of a batch have in common once.
 */
export type ComputedTokens = 'all' | 'needed' | 'once';

/** A Crane of given shapes with random weights and trainable prompts, opened from a file as training does. */
export async function seededCrane(
  sizes: ClipSizes,
  imageSize: number,
  tokens: ComputedTokens = 'once',
): Promise<CraneModel> {
  const folder = new TemporaryFolder();
  try {
    const backbone = path.join(folder.path, 'seeded.pt');
    writeSeededBackbone(backbone, sizes);
    const training = { roundGradients: tokens !== 'once' };
    const weights = await openRunWeights({ backbone, model: { imageSize }, training });
    const model = buildModel(weights) as CraneModel;
    weights.close();
    if (tokens !== 'all') return model;
    const prompts = new FullLengthPrompts(model.prompts.config);
    model.prompts.dispose();
    return new CraneModel({ vision: model.vision, text: model.text, options: model.options, prompts });
  } finally {
    folder.remove();
  }
}

/** Prompts with padding up to the text encoder's context length, all of which is computed, as the reference does. */
class FullLengthPrompts extends LearnablePrompts {
  static override readonly className = 'FullLengthPrompts';

  override encode(text: ClipTextEncoder, image?: tf.Tensor2D): tf.Tensor3D {
    return tf.tidy(() => {
      const { embedded, endPositions } = this.assemble(text, image);
      const [rows, length] = embedded.shape;
      const padding = text.config.sizes.contextLength - length;
      const whole = tf.concat([embedded, text.embed(Array(rows).fill(Array(padding).fill(0)) as number[][])], 1); // [2·B, 77, D]
      const features = text.forward(whole, endPositions, this.deepTokensFor(rows)); // [2·B, E]
      return tf.transpose(tf.reshape(features, [2, rows / 2, -1]) as tf.Tensor3D, [1, 0, 2]);
    });
  }
}
