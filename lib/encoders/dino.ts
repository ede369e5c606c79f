import * as tf from '@tensorflow/tfjs';
import { DinoTransformer, type DinoConfig } from './dino-transformer';

/**
 * DINO (Caron et al. 2021), ViT-S and ViT-B with patches of 8 or 16 pixels (docs/method.md#second-models). Pixels at
 * the right and bottom
 * that fill no patch are not seen, as in the original: 518 pixels are 64 patches of 8 and 6 pixels more.
 *
 * The position embedding is resized by a scale factor with an offset of 0.1; newer versions of HuggingFace's port leave
 * the offset away, and their features differ from these by that much where the grid is not the trained one.
 */
export class DinoEncoder extends DinoTransformer {
  static readonly className = 'DinoEncoder';
  readonly family = 'dino';

  constructor(config: DinoConfig) {
    super(config, { positions: 'offset', partialPatches: 'drop' });
  }
}
tf.serialization.registerClass(DinoEncoder, 'crane');
