/**
 * What an image goes through, in order. `attention` is all of a block but its MLP half; `projection` the way into the
 * space that images and texts share; `modelOther` what else the model does, such as the norm before the blocks; `heatmap`
 * the map at the image's own size.
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
/** A part of the work that is reported on. */
export type Stage = (typeof STAGES)[number];

/**
 * Runs one stage and returns what it returns: told where stages begin and end, a measurement can time them. Stages lie
 * within others, and one that returns a promise lasts until that is settled.
 */
export type RunStage = <T>(stage: Stage, run: () => T) => T;

/** Where nothing is measured. */
export const runUnobserved: RunStage = (_, run) => run();
