import * as tf from '@tensorflow/tfjs';
import { DinoTransformer, type DinoConfig } from './dino-transformer';

/**
 * DINO (Caron et al. 2021), ViT-S and ViT-B with patches of 8 or 16 pixels (docs/method.md#second-models). Pixels at
 * the right and bottom
 * that do not fill a patch are ignored, as in the original: 518 pixels are 64 patches of 8 and 6 ignored pixels.
 *
 * The position embedding is resized by a scale factor with an offset of 0.1; newer versions of HuggingFace's port omit
 * the offset, so their features differ slightly from these where the grid is not the trained one.
 */
export class DinoEncoder extends DinoTransformer {
  static readonly className = 'DinoEncoder';
  readonly family = 'dino';

  constructor(config: DinoConfig) {
    super(config, { positions: 'offset', partialPatches: 'drop' });
  }
}
tf.serialization.registerClass(DinoEncoder, 'crane');
