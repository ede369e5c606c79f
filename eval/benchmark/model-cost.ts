import type { AnomalyModel, FlopCount } from '../../lib/methods/method';

/** The cost of a model, regardless of how many images it scores. */
export interface ModelCost {
  /** Numbers in all networks, learned prompts included. */
  readonly parameters: number;
  /** Their size in memory, as float32. */
  readonly bytes: number;
  /** Floating-point operations for one image, as the method's definition asks for them. */
  readonly flop: FlopCount;
}

export function modelCost({ parameters, flop }: Pick<AnomalyModel, 'parameters' | 'flop'>): ModelCost {
  return { parameters, bytes: parameters * Float32Array.BYTES_PER_ELEMENT, flop };
}
