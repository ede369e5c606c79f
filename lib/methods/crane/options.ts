import { definedOptions } from '../../defined-options';
import { z } from 'zod';
import { UsageError } from '../../errors';
import { ATTENTION_TYPES } from '../../layers/e-attn';
import { CONTEXT_POSITIONS } from '../../prompts/learnable-prompts';
import { FUSIONS } from '../../scoring/fusion';
import { SPATIAL_FAMILIES, type SpatialFamily } from '../../encoders/spatial-encoder';
import { DATTN_MEANS } from '../../layers/d-attn';
import type { ClipSizes } from '../../encoders/clip-sizes';
import { optionsError } from '../../option-errors';
import { refusePartialPatches } from '../image-size';

/**
 * How Crane scores an image. Defaults are those of the reference's test program (docs/method.md#temperatures,
 * docs/method.md#context-when-scoring), except for `imageSize`, whose default depends on the backbone. The `describe`
 * texts are the help of the commands.
 */
export const modelOptionsSchema = z.object({
  /** Side of the square network input in pixels, a multiple of the patch size. */
  imageSize: z.int().positive().describe('side of the network input in pixels'),
  /** Blocks, counted from 1, whose spatial features give anomaly maps. */
  layers: z.array(z.int().positive()).min(1).describe('blocks that give anomaly maps, such as 6,12,18,24'),
  /** How many of the last blocks carry the refined dense path. */
  eattnBlocks: z.int().nonnegative().describe('how many of the last blocks have the refined path'),
  /** How E-Attn correlates tokens; see {@link ATTENTION_TYPES}. Default `qq+kk+vv`. */
  attention: z.enum(ATTENTION_TYPES).default('qq+kk+vv').describe('what E-Attn correlates'),
  /** How maps of several layers are combined; see {@link FUSIONS}. Default `soft`. */
  fusion: z.enum(FUSIONS).default('soft').describe('average probabilities (soft) or logits'),
  /** Score-based pooling of patch tokens into the image score (docs/method.md#pooling). */
  pooling: z.boolean().default(true).describe('score-based pooling of patch tokens'),
  /** Whether prompts are conditioned on the image when scoring; the reference does so in training only
   * (docs/method.md#context-when-scoring). */
  context: z.boolean().default(false).describe('condition prompts on the image when scoring'),
  /** Where the image's feature enters the prompts; see {@link CONTEXT_POSITIONS}. Default `pad_suffix`. */
  contextPosition: z.enum(CONTEXT_POSITIONS).default('pad_suffix').describe('where the image enters the prompts'),
  /** Standard deviation of the Gaussian over the anomaly map, in pixels of the network input; 0 turns it off. */
  sigma: z.number().nonnegative().default(4).describe('Gaussian over the map, in pixels of the network input'),
  /** Temperature of patch and image similarities when scoring (docs/method.md#temperatures). */
  temperature: z.number().positive().default(0.07).describe('temperature of the similarity of images and prompts'),
  /** The kind of vision model that guides D-Attn (Crane+); without it, the maps come from E-Attn alone (Crane). */
  spatial: z
    .enum(['none', ...SPATIAL_FAMILIES])
    .default('none')
    .describe('vision model that guides D-Attn (Crane+)'),
  /** Use only D-Attn's features for map and score, without E-Attn's. */
  spatialOnly: z.boolean().default(false).describe("leave E-Attn's features out"),
  /** Multiple of the mean similarity below which D-Attn cuts. */
  dattnBeta: z.number().nonnegative().describe('D-Attn cuts below this multiple of the mean similarity'),
  /** How sharply D-Attn prefers similar patches. */
  dattnGamma: z.number().positive().default(3).describe('how sharply D-Attn prefers similar patches'),
  /** What D-Attn averages the similarity over; see {@link DATTN_MEANS}. Default `image`. */
  dattnMean: z
    .enum(DATTN_MEANS)
    .default('image')
    .describe('mean over each image, or over the batch as in the reference'),
});

/**
 * How Crane scores an image, complete.
 * @interface
 */
export type ModelOptions = z.output<typeof modelOptionsSchema>;
/**
 * How Crane scores an image; options left out have their defaults.
 * @interface
 */
export type ModelOptionsInput = Partial<z.input<typeof modelOptionsSchema>>;

/** Where D-Attn cuts, by the model that guides it (docs/method.md#d-attn). */
const DATTN_BETA = { none: 1.2, dinov2: 1.2, dino: 1.2, sam: 1.08 } as const;

/** Side of the network input that the paper uses with its backbone. */
const PAPER_IMAGE_SIZE = 518;

/**
 * Completes options for a backbone: image size 518 for the paper's, else the native size; layers at
 * each quarter of the depth, or only the last with D-Attn; E-Attn from a quarter of the depth on (19 of 24 blocks,
 * docs/method.md#nineteen-blocks).
 * @throws UsageError naming the option, what was found and what is allowed
 */
export function completeModelOptions(input: ModelOptionsInput, sizes: ClipSizes): ModelOptions {
  const { patchSize, gridSize, layers, width } = sizes.vision;
  const given = definedOptions(input);
  const spatial = given['spatial'] ?? 'none';
  const parsed = modelOptionsSchema.safeParse({
    imageSize: patchSize === 14 && width === 1024 ? PAPER_IMAGE_SIZE : patchSize * gridSize,
    layers:
      spatial === 'none' ? [1, 2, 3, 4].map((quarter) => Math.max(1, Math.round((layers * quarter) / 4))) : [layers],
    eattnBlocks: Math.max(1, Math.round((layers * 19) / 24)),
    dattnBeta: DATTN_BETA[spatial as keyof typeof DATTN_BETA] ?? DATTN_BETA.none,
    ...given,
  });
  if (!parsed.success) {
    throw optionsError(parsed.error.issues, given);
  }
  const options = parsed.data;
  refusePartialPatches(options.imageSize, { patchSize });
  const outside = options.layers.filter((layer) => layer > layers);
  if (outside.length > 0) {
    throw new UsageError(
      'usage/layers',
      `layers ${outside.join(', ')} were requested, but this backbone has blocks 1 to ${layers}`,
      { found: options.layers, blocks: layers },
    );
  }
  if (options.eattnBlocks > layers) {
    throw new UsageError(
      'usage/eattn-blocks',
      `${options.eattnBlocks} E-Attn blocks were requested, but this backbone has ${layers} blocks`,
      { found: options.eattnBlocks, blocks: layers },
    );
  }
  if (options.spatialOnly && options.spatial === 'none') {
    throw new UsageError(
      'usage/spatial-only',
      'only features of D-Attn were requested, but there is no second vision model to guide it; name one with `spatial`',
      { spatial: options.spatial },
    );
  }
  const firstDual = layers - options.eattnBlocks + 1;
  const withoutPath = options.spatial === 'none' ? [] : options.layers.filter((layer) => layer < firstDual);
  if (withoutPath.length > 0) {
    throw new UsageError(
      'usage/spatial-layers',
      `D-Attn works in the blocks with a spatial path, ${firstDual > layers ? 'and with 0 E-Attn blocks there are none' : `${firstDual} to ${layers} of this backbone`}; ` +
        `layers ${withoutPath.join(', ')} were requested`,
      { found: options.layers, firstDual, blocks: layers },
    );
  }
  return options;
}

/**
 * The options from the prompts' training that a model with these prompts inherits, if they fit the backbone. If the prompts
 * were trained with another kind of second vision model, layers and D-Attn's own options are left out.
 * @param family of the second vision model that will guide, or `none`
 */
export function optionsOfTraining(
  { context, temperature, ...trained }: ModelOptionsInput,
  { vision }: ClipSizes,
  family: SpatialFamily | 'none',
): ModelOptionsInput {
  const fits =
    (trained.imageSize ?? 0) % vision.patchSize === 0 &&
    (trained.layers ?? []).every((layer) => layer <= vision.layers) &&
    (trained.eattnBlocks ?? 0) <= vision.layers;
  if (!fits) return {};
  if ((trained.spatial ?? family) === family) return trained;
  const { spatial, spatialOnly, layers, dattnBeta, dattnGamma, dattnMean, ...rest } = trained;
  return rest;
}
