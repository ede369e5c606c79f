import * as tf from '@tensorflow/tfjs';
import { DinoTransformer, type DinoConfig } from './dino-transformer';

/**
 * DINOv2 (Oquab et al. 2023), with registers or without (Darcet et al. 2024): the model that guides D-Attn in the
 * published Crane+ (docs/method.md#second-models). Images must be whole multiples of its patches, 14 pixels in the
 * official weights.
 *
 * The position embedding is resized as in the official code for each kind: antialiased with registers; without them,
 * by a scale factor with an offset of 0.1. HuggingFace's port omits the offset; where the grid is not the trained
 * one, its features for a model without registers differ slightly from these.
 */
export class Dinov2Encoder extends DinoTransformer {
  static readonly className = 'Dinov2Encoder';
  readonly family = 'dinov2';

  constructor(config: DinoConfig) {
    super(config, { positions: config.sizes.registers > 0 ? 'antialias' : 'offset', partialPatches: 'refuse' });
  }
}
tf.serialization.registerClass(Dinov2Encoder, 'crane');
