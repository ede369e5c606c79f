import type { Crane } from '../../lib/crane';
import { DinoTransformer } from '../../lib/encoders/dino-transformer';
import { SamEncoder, type SamSizes } from '../../lib/encoders/sam';
import type { SpatialEncoder } from '../../lib/encoders/spatial-encoder';
import { flopPerImage, type FlopCount, type SpatialNetwork } from './flop';

/** The cost of a model, regardless of how many images it scores. */
export interface ModelCost {
  /** Numbers in all networks, learned prompts included. */
  readonly parameters: number;
  /** Their size in memory, as float32. */
  readonly bytes: number;
  /** Floating-point operations for one image, see `flopPerImage`. */
  readonly flop: FlopCount;
}

export function modelCost({ model, description }: Crane): ModelCost {
  const { vision, text, prompts, spatial, options } = model;
  const parameters = [vision, text, prompts, ...(spatial ? [spatial] : [])].reduce(
    (sum, layer) => sum + layer.countParams(),
    0,
  );
  return {
    parameters,
    bytes: parameters * Float32Array.BYTES_PER_ELEMENT,
    flop: flopPerImage({ sizes: description.sizes, options, spatial: spatial && networkOf(spatial) }),
  };
}

function networkOf(encoder: SpatialEncoder): SpatialNetwork | undefined {
  if (encoder instanceof SamEncoder)
    return { family: 'sam', sizes: encoder.getConfig()['sizes'] as unknown as SamSizes };
  if (encoder instanceof DinoTransformer)
    return { family: encoder.family === 'dino' ? 'dino' : 'dinov2', sizes: encoder.sizes };
  return undefined;
}
