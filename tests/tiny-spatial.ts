import type { SpatialFamily } from '../lib/encoders/spatial-encoder';
import { DinoEncoder } from '../lib/encoders/dino';
import { Dinov2Encoder } from '../lib/encoders/dinov2';
import { SamEncoder } from '../lib/encoders/sam';
import type { SpatialEncoder } from '../lib/encoders/spatial-encoder';
import { goldenParameters } from './tensors';

const dino = { width: 48, layers: 3, heads: 3, gridSize: 6, feedForward: 'mlp', hidden: 192 } as const;

/** The goldens' second vision models. */
export function tinySpatial(family: SpatialFamily): SpatialEncoder {
  const parameters = goldenParameters(`vfm_${family}.safetensors`);
  switch (family) {
    case 'dinov2':
      return new Dinov2Encoder({ sizes: { ...dino, patchSize: 14, registers: 4, layerScale: true }, parameters });
    case 'dino':
      return new DinoEncoder({ sizes: { ...dino, patchSize: 8, registers: 0, layerScale: false }, parameters });
    case 'sam':
      return new SamEncoder({
        sizes: {
          width: 32,
          layers: 3,
          heads: 2,
          patchSize: 64,
          gridSize: 16,
          windowSize: 7,
          globalBlocks: [1],
          channels: 24,
        },
        parameters,
      });
  }
}
