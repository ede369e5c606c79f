import type { ClipSizes } from '../../lib/encoders/clip-sizes';

/** The embedded network: CLIP's architecture, small enough to be part of the package. */
export const NANO_SIZES = {
  embedDimension: 128,
  vision: { patchSize: 8, gridSize: 14, width: 128, layers: 6, heads: 2 },
  // The context token is an image feature among text tokens, so the text tower is as wide as the joint space.
  text: { width: 128, layers: 3, heads: 2, contextLength: 77, vocabularySize: 49408 },
} as const satisfies ClipSizes;

/** How the embedded backbone is pretrained. */
export interface Recipe {
  readonly seed: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly warmUpSteps: number;
  readonly cropSize: number;
  readonly cropBatch: number;
  readonly wholeSize: number;
  readonly wholeBatch: number;
  /** Side at which images are rendered. */
  readonly drawnSize: number;
  /** Pairs of images generated before the first batch, new ones per batch, and how many stay in use. */
  readonly firstPairs: number;
  readonly pairsPerBatch: number;
  readonly keptPairs: number;
  /** Images of a batch, from its start, that the contrastive loss compares with captions. */
  readonly captionedImages: number;
  /** Pairs of prompts, normal and damaged, that a batch is compared with. */
  readonly promptPairs: number;
  /** Stages of training, by first step; the first begins at 0. */
  readonly stages: readonly Stage[];
  readonly cycles: readonly Cycle[];
}

/** One decay of the learning rate, from its peak to almost zero. */
export interface Cycle {
  readonly from: number;
  /** Step at which the learning rate begins to decay. */
  readonly decayFrom: number;
  /** Step from which whole images at the native size replace crops. */
  readonly wholeFrom: number;
}

export interface Stage {
  readonly from: number;
  readonly weights: LossWeights;
  /** One batch in this many is of whole images; 0 for none. */
  readonly wholeEvery: number;
  /** Factor on the recipe's learning rate. */
  readonly pace: number;
  /** Share of views that are shown clean; the others get a photograph's imperfections. */
  readonly asDrawn: number;
}

export interface LossWeights {
  readonly contrastive: number;
  readonly dense: number;
  readonly state: number;
}

export const DEFAULT_RECIPE: Recipe = {
  seed: 1,
  steps: 4050,
  learningRate: 1e-3,
  weightDecay: 0.05,
  clipNorm: 1,
  warmUpSteps: 100,
  cropSize: 56,
  cropBatch: 96,
  wholeSize: 112,
  wholeBatch: 32,
  drawnSize: 128,
  firstPairs: 256,
  pairsPerBatch: 8,
  keptPairs: 2000,
  captionedImages: 48,
  promptPairs: 8,
  stages: [
    { from: 0, weights: { contrastive: 0.5, dense: 1, state: 0.3 }, wholeEvery: 0, pace: 1, asDrawn: 0 },
    // Once patches recognise defects, the whole image's state is trained.
    { from: 650, weights: { contrastive: 0.5, dense: 1, state: 1 }, wholeEvery: 3, pace: 1, asDrawn: 0 },
    // By now families are distinguished, and fainter defects can be learned.
    { from: 1110, weights: { contrastive: 0.2, dense: 1.5, state: 1 }, wholeEvery: 3, pace: 1, asDrawn: 0.6 },
    { from: 1340, weights: { contrastive: 0.2, dense: 1.5, state: 1 }, wholeEvery: 6, pace: 2, asDrawn: 0.6 },
    // The second cycle is for whole images of objects with distinct parts, which still look odd.
    { from: 2750, weights: { contrastive: 0.1, dense: 1.5, state: 1.5 }, wholeEvery: 2, pace: 1.2, asDrawn: 0.6 },
  ],
  cycles: [
    { from: 0, decayFrom: 1512, wholeFrom: 2420 },
    { from: 2750, decayFrom: 2750, wholeFrom: 3450 },
  ],
};

/** The composition of the batch at this step. */
export interface Phase {
  readonly size: number;
  readonly batch: number;
  readonly whole: boolean;
}

/** The stage that a step belongs to. */
export function stageAt({ stages }: Recipe, step: number): Stage {
  return stages.filter(({ from }) => from <= step).at(-1) ?? (stages[0] as Stage);
}

/** First crops near defects, then some batches of whole images, and only those at the end of a cycle. Steps from 0. */
export function phaseAt(recipe: Recipe, step: number): Phase {
  const { wholeEvery } = stageAt(recipe, step);
  const sometimes = wholeEvery > 0 && step % wholeEvery === 0;
  const always = step >= cycleAt(recipe, step).wholeFrom;
  return sometimes || always
    ? { size: recipe.wholeSize, batch: recipe.wholeBatch, whole: true }
    : { size: recipe.cropSize, batch: recipe.cropBatch, whole: false };
}

/** The cycle that a step belongs to, and where it ends. */
function cycleAt({ cycles, steps }: Recipe, step: number): Cycle & { readonly to: number } {
  const index = cycles.filter(({ from }) => from <= step).length - 1;
  return { ...(cycles[index] as Cycle), to: cycles[index + 1]?.from ?? steps };
}

/** Warm-up at the start, then in each cycle a plateau and a cosine down to a hundredth. */
export function learningRateAt(recipe: Recipe, step: number): number {
  const { warmUpSteps } = recipe;
  const learningRate = recipe.learningRate * stageAt(recipe, step).pace;
  if (step < warmUpSteps) return (learningRate * (step + 1)) / warmUpSteps;
  const { decayFrom, to } = cycleAt(recipe, step);
  if (step < decayFrom) return learningRate;
  const progress = (step - decayFrom) / Math.max(1, to - decayFrom);
  return learningRate * (0.01 + 0.99 * 0.5 * (1 + Math.cos(Math.PI * progress)));
}

/** The pairs of images that batch `step` draws from: `[from, to)`. */
export function poolWindow(recipe: Recipe, step: number): readonly [number, number] {
  const to = recipe.firstPairs + recipe.pairsPerBatch * step;
  return [Math.max(0, to - recipe.keptPairs), to];
}
