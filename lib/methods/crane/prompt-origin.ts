import { UsageError } from '../../errors';
import type { PromptCheckpoint } from '../../weights/prompt-checkpoint';
import type { Backbone } from './backbone';
import { BACKBONE_HASH_KEY, BACKBONE_KEY, SPATIAL_HASH_KEY, spatialOfPrompts } from './prompts';
import {
  openSpatial,
  spatialSourceOf,
  type OpenSpatialOptions,
  type SpatialChoice,
  type SpatialWeights,
} from './spatial';

/**
 * The second vision model that was chosen, or else the one that the prompts were trained with; undefined for Crane without one.
 * @throws UsageError `usage/spatial-missing` where the prompts were trained with one that is not here
 */
export async function openSpatialFor(
  prompts: PromptCheckpoint,
  chosen: SpatialChoice | undefined,
  access: OpenSpatialOptions,
): Promise<SpatialWeights | undefined> {
  const trained = spatialOfPrompts(prompts);
  const source = spatialSourceOf(chosen ?? trained?.weights ?? trained?.family);
  if (source === undefined) return undefined;
  try {
    return await openSpatial(source, access);
  } catch (error) {
    if (chosen !== undefined || !(error instanceof UsageError)) throw error;
    throw new UsageError(
      'usage/spatial-missing',
      `the prompts were trained with ${trained?.family} of ${trained?.weights ?? 'unnamed weights'}, which is not here; ` +
        "give it with `spatial.weights`, or do without: `spatial: 'none'`",
      { family: trained?.family, weights: trained?.weights },
      { cause: error },
    );
  }
}

/** Prompts mean something only with the weights that they were trained on. */
export async function warningsAboutBackbone({ metadata }: PromptCheckpoint, backbone: Backbone): Promise<string[]> {
  const wanted = metadata[BACKBONE_HASH_KEY];
  if (wanted === undefined || wanted === (await backbone.sha256())) return [];
  const made = metadata[BACKBONE_KEY] ?? 'another backbone';
  return [
    `The prompts were trained on other weights (${made}, sha256 ${wanted.slice(0, 12)}…) than those of ${backbone.name}; scores may be unreliable.`,
  ];
}

/** Prompts learn what the features look like, and a second vision model changes that. */
export async function warningsAboutSpatial(
  prompts: PromptCheckpoint,
  used: SpatialWeights | undefined,
): Promise<string[]> {
  const trained = spatialOfPrompts(prompts);
  if (trained === undefined) return [];
  const family = used?.family ?? 'none';
  if (trained.family !== family) {
    return [
      `The prompts were trained with \`spatial: '${trained.family}'\`, but are used with \`spatial: '${family}'\`; scores may be unreliable.`,
    ];
  }
  const wanted = prompts.metadata[SPATIAL_HASH_KEY];
  if (used === undefined || wanted === undefined || wanted === (await used.sha256())) return [];
  return [
    `The prompts were trained with other weights of ${family} (${trained.weights ?? 'unnamed'}, sha256 ${wanted.slice(0, 12)}…) than ${used.name}; scores may be unreliable.`,
  ];
}
