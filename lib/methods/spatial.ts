import * as path from 'node:path';
import type * as tf from '@tensorflow/tfjs';
import type { Normalisation } from '../image/normalisation';
import { SPATIAL_FAMILIES, type SpatialFamily } from '../encoders/spatial-encoder';
import { DinoEncoder } from '../encoders/dino';
import { Dinov2Encoder } from '../encoders/dinov2';
import { SamEncoder } from '../encoders/sam';
import type { SpatialEncoder } from '../encoders/spatial-encoder';
import { UsageError } from '../errors';
import { dinoWeightsIn, type DinoWeights } from '../weights/dino-weights';
import { openTensors } from '../weights/open';
import { findRegisteredWeights } from '../weights/registry';
import { holdSam, samWeightsIn, type SamWeights } from '../weights/sam-weights';
import { resolveWeights, sha256OfWeights, type WeightAccess } from '../weights/weight-cache';

/** The second vision model of Crane+, which guides D-Attn. */
export interface SpatialSource {
  /** Its family; if left out, it is recognised from the weights. */
  readonly model?: SpatialFamily | undefined;
  /** A registered name such as `dinov2_vitb14_reg4`, or a file or folder; default: the paper's for the family. */
  readonly weights?: string | undefined;
  /** Attention heads, needed if they are not 64 channels wide, since DINO's and DINOv2's files do not say. */
  readonly heads?: number | undefined;
}

/** `none` (Crane), a family, weights by registered name or path, or all of these. */
export type SpatialChoice = 'none' | SpatialFamily | (string & {}) | SpatialSource;

/** The open weights of a second vision model. */
export interface SpatialWeights {
  readonly family: SpatialFamily;
  /** The name it was requested by: a registered name, or the file's or folder's name. */
  readonly name: string;
  readonly path: string;
  /** What determines the features besides the tensors and is not covered by the file's hash. */
  readonly network: { readonly sizes: object; readonly normalisation: Normalisation };
  /** Builds the encoder. @throws WeightsError if the weights are incomplete */
  build(onParameter?: (parameter: tf.LayerVariable) => void): SpatialEncoder;
  /** sha256 of the weights, in hexadecimal; of a folder, of its weight files together. */
  sha256(): Promise<string>;
  /** Closes the file. Encoders already built stay valid. */
  close(): void;
}

/**
 * What a choice means; undefined for `none`.
 * @throws UsageError `usage/spatial` for an unknown family
 */
export function spatialSourceOf(choice: SpatialChoice | undefined): SpatialSource | undefined {
  if (choice === undefined || choice === 'none') return undefined;
  const source: SpatialSource =
    typeof choice !== 'string' ? choice : isFamily(choice) ? { model: choice } : { weights: choice };
  if (
    (source.model === undefined && source.weights === undefined) ||
    (source.model !== undefined && !isFamily(source.model))
  ) {
    throw new UsageError(
      'usage/spatial',
      `spatial model ${JSON.stringify(source.model ?? choice)}: expected none, ${SPATIAL_FAMILIES.join(', ')}, or weights by registered name or path`,
      { found: choice, expected: ['none', ...SPATIAL_FAMILIES] },
    );
  }
  return source;
}

const isFamily = (name: string): name is SpatialFamily => (SPATIAL_FAMILIES as readonly string[]).includes(name);

/**
 * Opens a second vision model: official files of DINOv2, DINO and SAM, or HuggingFace's folders of them
 * (docs/method.md#second-models).
 * Registered ones are downloaded once. Close the result once the model is built.
 * @throws UsageError for unknown names or families that do not fit; WeightsError for files and downloads
 */
export async function openSpatial(source: SpatialSource, options: WeightAccess = {}): Promise<SpatialWeights> {
  const asked = source.weights ?? (source.model as SpatialFamily);
  const file = await resolveWeights(asked, 'spatial', options);
  const tensors = await openTensors(file);
  const weights = holdSam(tensors)
    ? samWeightsIn(file, tensors)
    : dinoWeightsIn(file, tensors, familyAndHeads(asked, source));
  if (source.model !== undefined && weights.family !== source.model) {
    weights.close();
    throw new UsageError(
      'usage/spatial',
      `${asked} holds weights of ${weights.family}, but ${source.model} was requested; name the weights alone, or \`spatial: '${weights.family}'\``,
      { found: weights.family, expected: source.model, path: file },
    );
  }
  return {
    family: weights.family,
    name: asked === file ? path.basename(file) : asked,
    path: file,
    network: { sizes: weights.sizes, normalisation: weights.normalisation },
    build: (onParameter) => {
      const parts = {
        parameters: weights.parameters,
        normalisation: weights.normalisation,
        ...(onParameter ? { onParameter } : {}),
      };
      const encoder = encoderOf(weights, parts);
      weights.finish();
      return encoder;
    },
    sha256: () => sha256OfWeights(file),
    close: () => weights.close(),
  };
}

type OpenWeights = SamWeights | DinoWeights;

function encoderOf(
  weights: OpenWeights,
  parts: Pick<ConstructorParameters<typeof SamEncoder>[0], 'parameters' | 'normalisation' | 'onParameter'>,
): SpatialEncoder {
  switch (weights.family) {
    case 'sam':
      return new SamEncoder({ ...parts, sizes: weights.sizes });
    case 'dino':
      return new DinoEncoder({ ...parts, sizes: weights.sizes });
    case 'dinov2':
      return new Dinov2Encoder({ ...parts, sizes: weights.sizes });
  }
}

/**
 * A registered file's family is known; otherwise the weights determine it, and the requested family is checked against
 * it.
 */
function familyAndHeads(asked: string, { heads }: SpatialSource): { family?: 'dino' | 'dinov2'; heads?: number } {
  const family = findRegisteredWeights(asked)?.family;
  return { ...(family === 'dino' || family === 'dinov2' ? { family } : {}), ...(heads === undefined ? {} : { heads }) };
}
