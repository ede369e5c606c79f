import type { AnomalyModel, FlopCount } from '../../lib/methods/method';

/** What a model takes before it has seen an image. */
export interface ModelCost {
  /** Numbers in all networks, learned prompts included. */
  readonly parameters: number;
  /** The same as they lie in memory, float32. */
  readonly bytes: number;
  /** Floating-point operations for one image, as the method's definition asks for them. */
  readonly flop: FlopCount;
}

export function modelCost({ parameters, flop }: Pick<AnomalyModel, 'parameters' | 'flop'>): ModelCost {
  return { parameters, bytes: parameters * Float32Array.BYTES_PER_ELEMENT, flop };
}
