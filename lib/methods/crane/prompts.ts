import type { ClipSizes } from '../../encoders/clip-sizes';
import type { ModelOptionsInput } from './options';
import type { SpatialFamily } from '../../encoders/spatial-encoder';
import { CLIP_VARIANTS } from '../../encoders/clip-sizes';
import { modelOptionsSchema } from './options';
import { UsageError, WeightsError } from '../../errors';
import { CLIP_PREPROCESSING, type Preprocessing } from '../../image/preprocess';
import { optionsError } from '../../option-errors';
import type { OnProgress } from '../../progress';
import { parseJsonObject } from '../../weights/configuration';
import { readPromptCheckpoint, type PromptCheckpoint } from '../../weights/prompt-checkpoint';
import { sha256OfFile } from '../../weights/download';
import { findRegisteredWeights, publishedPromptsBackbone, registeredWeights } from '../../weights/registry';
import { resolveWeights } from '../../weights/weight-cache';
import { EMBEDDED_BACKBONE, embeddedFile, type Backbone } from './backbone';

/** The prompts that come with the package, for the embedded backbone. */
const EMBEDDED_PROMPTS = 'nano-prompts';
/** Used with the paper's backbone where no others are named. */
const PUBLISHED_PROMPTS = 'crane-visa';

/** Keys in the metadata of prompts: the model options that they were trained with, as JSON; the auxiliary set; the backbone. */
export const OPTIONS_KEY = 'crane.options';
export const AUXILIARY_KEY = 'crane.auxiliary';
export const BACKBONE_KEY = 'crane.backbone';
export const BACKBONE_HASH_KEY = 'crane.backbone.sha256';
/** The second vision model's weights that prompts were trained with. */
export const SPATIAL_KEY = 'crane.spatial';
export const SPATIAL_HASH_KEY = 'crane.spatial.sha256';

/** Where prompts may come from. */
export interface OpenPromptsOptions {
  readonly offline?: boolean;
  readonly allowPrivateUrls?: boolean;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/**
 * Opens learned prompts: `nano-prompts`, a registered name such as `crane-visa`, or a file.
 * @throws UsageError for an unknown name; WeightsError for a file that holds no prompts
 */
export async function openPrompts(nameOrPath: string, options: OpenPromptsOptions = {}): Promise<PromptCheckpoint> {
  if (nameOrPath === EMBEDDED_PROMPTS) return readPromptCheckpoint(embeddedFile('nano-prompts.safetensors'));
  const file = await resolveWeights(nameOrPath, 'prompts', options);
  const checkpoint = await readPromptCheckpoint(file);
  if (AUXILIARY_KEY in checkpoint.metadata) return checkpoint;
  // Published files do not say how they were trained; the registry does, by name or by content.
  const hash = await sha256OfFile(file);
  const entry = findRegisteredWeights(nameOrPath) ?? registeredWeights.find(({ sha256 }) => sha256 === hash);
  if (!entry?.trainedOn) return checkpoint;
  const known = {
    [AUXILIARY_KEY]: entry.trainedOn,
    ...(entry.trainedWith ? { [OPTIONS_KEY]: JSON.stringify(entry.trainedWith) } : {}),
  };
  return { ...checkpoint, metadata: { ...checkpoint.metadata, ...known } };
}

/**
 * Refuses a registered backbone without prompts by its name, before it is downloaded.
 * @throws UsageError
 */
export function refuseWithoutPrompts(backboneName: string): void {
  const entry = findRegisteredWeights(backboneName);
  if (entry?.kind === 'backbone' && entry.name !== publishedPromptsBackbone) throw withoutPrompts(backboneName);
}

/**
 * The prompts used with a backbone where none are named.
 * @throws UsageError where there are none
 */
export function defaultPrompts(backbone: Backbone): string {
  if (backbone.name === EMBEDDED_BACKBONE) return EMBEDDED_PROMPTS;
  if (takesPublishedPrompts(backbone)) return PUBLISHED_PROMPTS;
  throw withoutPrompts(backbone.name);
}

/** Whether a backbone is the paper's network, which the published prompts are for. It may lie in a file of any name. */
export function takesPublishedPrompts({
  sizes,
  activation,
  preprocessing,
}: Pick<Backbone, 'sizes' | 'activation' | 'preprocessing'>): boolean {
  const published = CLIP_VARIANTS[publishedPromptsBackbone];
  const isClips = JSON.stringify(inputOf(preprocessing)) === JSON.stringify(inputOf(CLIP_PREPROCESSING));
  return (
    activation === 'quick-gelu' &&
    isClips &&
    JSON.stringify(sortedSizes(sizes)) === JSON.stringify(published && sortedSizes(published))
  );
}

const inputOf = ({ resize, mean, std }: Preprocessing): unknown => [resize, mean, std];

function sortedSizes({ embedDimension, vision, text }: ClipSizes): readonly unknown[] {
  const ofTowers = [vision, text].flatMap(({ width, layers, heads, hidden, epsilon }) => [
    width,
    layers,
    heads,
    hidden,
    epsilon,
  ]);
  return [embedDimension, vision.patchSize, vision.gridSize, ...ofTowers];
}

function withoutPrompts(backbone: string): UsageError {
  return new UsageError(
    'usage/no-prompts',
    `no prompts are known for the backbone ${backbone}; name some with \`prompts\`, or train some for it. ` +
      `Published prompts are for ${publishedPromptsBackbone}.`,
    { backbone },
  );
}

/**
 * Options under which prompts were trained and which a model that uses them shares, where the backbone allows it. Of
 * prompts that were trained with another kind of second vision model, layers and D-Attn's own options are left out.
 * @param family of the second vision model that will guide, or `none`
 */
export function optionsOfPrompts(
  prompts: PromptCheckpoint,
  sizes: ClipSizes,
  family: SpatialFamily | 'none',
): ModelOptionsInput {
  const { context, temperature, ...trained } = storedOptions(prompts);
  const fits =
    (trained.imageSize ?? 0) % sizes.vision.patchSize === 0 &&
    (trained.layers ?? []).every((layer) => layer <= sizes.vision.layers) &&
    (trained.eattnBlocks ?? 0) <= sizes.vision.layers;
  if (!fits) return {};
  if ((trained.spatial ?? family) === family) return trained;
  const { spatial, spatialOnly, layers, dattnBeta, dattnGamma, dattnMean, ...rest } = trained;
  return rest;
}

/** The second vision model that prompts say they were trained with; undefined where they do not say. */
export function spatialOfPrompts(
  prompts: PromptCheckpoint,
): { readonly family: SpatialFamily | 'none'; readonly weights: string | undefined } | undefined {
  const { spatial } = storedOptions(prompts);
  return spatial && { family: spatial, weights: prompts.metadata[SPATIAL_KEY] };
}

/** @throws WeightsError `weights/config` for options that are none: the network of the training is not known then */
function storedOptions({ metadata }: PromptCheckpoint): ModelOptionsInput {
  const text = metadata[OPTIONS_KEY];
  if (text === undefined) return {};
  const written = parseJsonObject(text, `the prompts' metadata ${OPTIONS_KEY}`);
  const parsed = modelOptionsSchema.partial().safeParse(written);
  if (!parsed.success) {
    const reason = optionsError(parsed.error.issues, written).message;
    throw new WeightsError('weights/config', `the prompts' metadata ${OPTIONS_KEY} cannot be honoured: ${reason}`, {
      found: text,
    });
  }
  // The schema's defaults say nothing about prompts whose file leaves an option out, but without a word of a second
  // vision model there was none.
  const kept = Object.entries(parsed.data).filter(([key]) => key === 'spatial' || Object.hasOwn(written, key));
  return Object.fromEntries(kept) as ModelOptionsInput;
}
