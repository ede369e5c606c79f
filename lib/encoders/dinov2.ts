import * as tf from '@tensorflow/tfjs';
import { DinoTransformer, type DinoConfig } from './dino-transformer';

/**
 * DINOv2 (Oquab et al. 2023), with registers or without (Darcet et al. 2024): the model that guides D-Attn in the
 * published Crane+ (docs/method.md#second-models). Images must be whole multiples of its patches, 14 pixels in the
 * official weights.
 *
 * The position embedding is resized as the official code does it for each kind: with registers antialiased, without them
 * by a scale factor with an offset of 0.1. HuggingFace's port leaves the offset away; where the grid is not the trained
 * one, its features of a model without registers differ from these by that much.
 */
export class Dinov2Encoder extends DinoTransformer {
  static readonly className = 'Dinov2Encoder';
  readonly family = 'dinov2';

  constructor(config: DinoConfig) {
    super(config, { positions: config.sizes.registers > 0 ? 'antialias' : 'offset', partialPatches: 'refuse' });
  }
}
tf.serialization.registerClass(Dinov2Encoder, 'crane');
