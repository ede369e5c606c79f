import type { z } from 'zod';
import type { SpatialFamily } from '../encoders/spatial-encoder';
import { UsageError, WeightsError } from '../errors';
import { optionsError } from '../option-errors';
import { parseJsonObject } from '../weights/configuration';
import type { WeightAccess } from '../weights/weight-cache';
import type { Backbone } from './backbone';
import { openSpatial, spatialSourceOf, type SpatialChoice, type SpatialWeights } from './spatial';

/** What a method has learned, as it is read from a file. */
export interface LearnedPart {
  /** What was stored with it: model options, auxiliary set, seed, hash of the backbone. Empty for files without metadata. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Keys in the metadata of a checkpoint: the model options that it was trained with, as JSON; the auxiliary set; the
 * backbone.
 */
export const OPTIONS_KEY = 'crane.options';
export const AUXILIARY_KEY = 'crane.auxiliary';
export const BACKBONE_KEY = 'crane.backbone';
export const BACKBONE_HASH_KEY = 'crane.backbone.sha256';
/** The second vision model's weights that it was trained with. */
export const SPATIAL_KEY = 'crane.spatial';
export const SPATIAL_HASH_KEY = 'crane.spatial.sha256';

/** The second vision model that a checkpoint says it was trained with. */
export interface TrainedSpatial {
  readonly family: SpatialFamily | 'none';
  readonly weights: string | undefined;
}

/** A checkpoint, the plural noun for its content, and the options of its method. */
export interface Trained {
  readonly learned: LearnedPart;
  readonly called: string;
  readonly options: z.ZodObject;
}

/**
 * The options that a checkpoint was trained with, as far as it records them.
 * @throws WeightsError `weights/config` for invalid options, since the trained network is then unknown
 */
export function storedOptions({ learned, called, options }: Trained): Readonly<Record<string, unknown>> {
  const text = learned.metadata[OPTIONS_KEY];
  if (text === undefined) return {};
  const written = parseJsonObject(text, `the ${called}' metadata ${OPTIONS_KEY}`);
  const parsed = options.partial().safeParse(written);
  if (!parsed.success) {
    const reason = optionsError(parsed.error.issues, written).message;
    throw new WeightsError('weights/config', `the ${called}' metadata ${OPTIONS_KEY} is not valid: ${reason}`, {
      found: text,
    });
  }
  // The schema's defaults do not apply to options that a checkpoint leaves out. Only `spatial` is different: if it is
  // missing, there was no second vision model.
  return Object.fromEntries(
    Object.entries(parsed.data).filter(([key]) => key === 'spatial' || Object.hasOwn(written, key)),
  );
}

/** The second vision model used in training; undefined if the checkpoint does not say. @throws as `storedOptions` */
function trainedSpatial(trained: Trained): TrainedSpatial | undefined {
  const family = storedOptions(trained)['spatial'] as TrainedSpatial['family'] | undefined;
  return family && { family, weights: trained.learned.metadata[SPATIAL_KEY] };
}

/**
 * Opens the chosen second vision model, or else the one used in training; undefined if there is neither.
 * @throws UsageError `usage/spatial-missing` if the checkpoint was trained with one that cannot be found
 */
export async function openSpatialFor(
  checkpoint: Trained | undefined,
  chosen: SpatialChoice | undefined,
  access: WeightAccess,
): Promise<SpatialWeights | undefined> {
  const trained = checkpoint && trainedSpatial(checkpoint);
  const source = spatialSourceOf(chosen ?? trained?.weights ?? trained?.family);
  if (source === undefined) return undefined;
  try {
    return await openSpatial(source, access);
  } catch (error) {
    if (chosen !== undefined || !(error instanceof UsageError)) throw error;
    throw new UsageError(
      'usage/spatial-missing',
      `the ${checkpoint?.called} were trained with ${trained?.family} of ${trained?.weights ?? 'unnamed weights'}, which cannot be found; ` +
        "give its weights with `spatial.weights`, or do without: `spatial: 'none'`",
      { family: trained?.family, weights: trained?.weights },
      { cause: error },
    );
  }
}

/** Learned values are meaningful only with the weights that they were trained on. */
export async function warningsAboutBackbone({ learned, called }: Trained, backbone: Backbone): Promise<string[]> {
  const wanted = learned.metadata[BACKBONE_HASH_KEY];
  if (wanted === undefined || wanted === (await backbone.sha256())) return [];
  const made = learned.metadata[BACKBONE_KEY] ?? 'another backbone';
  return [
    `The ${called} were trained on other weights (${made}, sha256 ${wanted.slice(0, 12)}…) than those of ${backbone.name}; scores may be unreliable.`,
  ];
}

/** Training adapts to the features, and a second vision model changes them. */
export async function warningsAboutSpatial(checkpoint: Trained, used: SpatialWeights | undefined): Promise<string[]> {
  const { learned, called } = checkpoint;
  const trained = trainedSpatial(checkpoint);
  if (trained === undefined) return [];
  const family = used?.family ?? 'none';
  if (trained.family !== family) {
    return [
      `The ${called} were trained with \`spatial: '${trained.family}'\`, but are used with \`spatial: '${family}'\`; scores may be unreliable.`,
    ];
  }
  const wanted = learned.metadata[SPATIAL_HASH_KEY];
  if (used === undefined || wanted === undefined || wanted === (await used.sha256())) return [];
  return [
    `The ${called} were trained with other weights of ${family} (${trained.weights ?? 'unnamed'}, sha256 ${wanted.slice(0, 12)}…) than ${used.name}; scores may be unreliable.`,
  ];
}
