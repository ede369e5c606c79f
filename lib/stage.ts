/**
 * The stages that an image passes through, in order. `attention` is all of a block except its MLP; `projection` maps into
 * the space that images and texts share; `modelOther` is everything else in the model, such as the norm before the
 * blocks; `heatmap` is the map at the image's own size.
 */
export const STAGES = [
  'decode',
  'resize',
  'patchEmbedding',
  'attention',
  'mlp',
  'projection',
  'text',
  'scoring',
  'gaussian',
  'modelOther',
  'heatmap',
] as const;
/** A part of the work that can be timed. */
export type Stage = (typeof STAGES)[number];

/**
 * Runs one stage and returns its result, so that a measurement can time it. Stages can be nested; one that returns a
 * promise lasts until the promise settles.
 */
export type RunStage = <T>(stage: Stage, run: () => T) => T;

/** Runs stages without measuring them. */
export const runUnobserved: RunStage = (_, run) => run();
