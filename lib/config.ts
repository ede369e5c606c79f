import { z } from 'zod';
import { UsageError } from './errors';
import { optionsError } from './option-errors';

/** How the E-Attn paths correlate tokens with each other (paper section 3.2; docs/method.md#e-attn). */
export const ATTENTION_TYPES = ['qq+kk+vv', 'qq+kk', 'qq', 'kk', 'vv', '(q+k+v)^2'] as const;
export type AttentionType = (typeof ATTENTION_TYPES)[number];

/** Where the image's global feature enters the prompt (docs/method.md#image-context). */
export const CONTEXT_POSITIONS = ['pad_suffix', 'pad_prefix', 'replace_suffix', 'replace_prefix', 'none'] as const;
export type ContextPosition = (typeof CONTEXT_POSITIONS)[number];

/** `soft` averages probability maps, `logit` averages similarity maps before the softmax (docs/method.md#fusion). */
export const FUSIONS = ['soft', 'logit'] as const;
export type Fusion = (typeof FUSIONS)[number];

/**
 * Families of vision models whose patch similarities can guide D-Attn (paper section 3.2;
 * docs/method.md#second-models).
 */
export const SPATIAL_FAMILIES = ['dinov2', 'dino', 'sam'] as const;
export type SpatialFamily = (typeof SPATIAL_FAMILIES)[number];

/**
 * Over what D-Attn takes the mean similarity: each image alone, or all images of a batch as the reference does, whose
 * scores then depend on what is scored together (docs/method.md#batch-mean; docs/deviations.md).
 */
export const DATTN_MEANS = ['image', 'batch'] as const;
export type DAttnMean = (typeof DATTN_MEANS)[number];

/**
 * Mean and standard deviation of red, green and blue (0 to 1) that CLIP was trained with
 * (docs/method.md#preprocessing).
 */
export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/** The same for networks that were trained on ImageNet's: DINO, DINOv2 and SAM (docs/method.md#second-models). */
export const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
export const IMAGENET_STD = [0.229, 0.224, 0.225] as const;

type Triple = readonly [number, number, number];

/** What CLIP's layer norms add to the variance (docs/method.md#backbone). */
export const CLIP_EPSILON = 1e-5;

/** What is taken from red, green and blue (0 to 1), and what the rest is divided by. */
export interface Normalisation {
  readonly mean: Triple;
  readonly std: Triple;
}

/** Filters that a network's input can be resized with. */
export const RESIZE_FILTERS = ['bicubic', 'bilinear'] as const;
export type ResizeFilter = (typeof RESIZE_FILTERS)[number];

/**
 * How images become a network's input, as its weights say. They are always resized straight to a square
 * (docs/method.md#preprocessing).
 */
export interface InputRule extends Normalisation {
  readonly resize: ResizeFilter;
}

export const ACTIVATIONS = ['quick-gelu', 'gelu'] as const;
export type Activation = (typeof ACTIVATIONS)[number];

/**
 * Attention heads, where a file does not say or is overruled: of both towers, or one number, which is the vision
 * tower's, and the text tower's where nothing else determines that.
 */
export type HeadsChoice = number | { readonly vision?: number | undefined; readonly text?: number | undefined };

export interface TransformerSizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Width between the two feed-forward layers, where it is not four times `width`. */
  readonly hidden?: number;
  /** Added to the variance in layer norms, where it is not 1e-5. */
  readonly epsilon?: number;
}

export interface VisionSizes extends TransformerSizes {
  readonly patchSize: number;
  /** Side of the native patch grid, such as 24 for 336 px and patches of 14. */
  readonly gridSize: number;
}

export interface TextSizes extends TransformerSizes {
  readonly contextLength: number;
  readonly vocabularySize: number;
}

/** Everything about a CLIP network that its weights determine (docs/method.md#backbone). */
export interface ClipSizes {
  readonly vision: VisionSizes;
  readonly text: TextSizes;
  /** Width of the space that images and texts share. */
  readonly embedDimension: number;
}

const clip = (
  embedDimension: number,
  [patchSize, gridSize, width, layers]: readonly [number, number, number, number],
  textWidth: number,
): ClipSizes => ({
  embedDimension,
  vision: { patchSize, gridSize, width, layers, heads: width / 64 },
  text: { width: textWidth, layers: 12, heads: textWidth / 64, contextLength: 77, vocabularySize: 49408 },
});

/** The published CLIP networks by name. Sizes are read off a file; this table serves where there is no file. */
export const CLIP_VARIANTS: Readonly<Record<string, ClipSizes>> = {
  'ViT-B/32': clip(512, [32, 7, 768, 12], 512),
  'ViT-B/16': clip(512, [16, 14, 768, 12], 512),
  'ViT-L/14': clip(768, [14, 16, 1024, 24], 768),
  'ViT-L/14@336px': clip(768, [14, 24, 1024, 24], 768),
};

/**
 * How Crane scores an image. Defaults are those of the reference's test program (docs/method.md#temperatures,
 * docs/method.md#context-when-scoring), except for `imageSize`, whose default belongs to the backbone.
 */
export const modelOptionsSchema = z.object({
  /** Side of the square network input in pixels, a multiple of the patch size. */
  imageSize: z.int().positive(),
  /** Blocks, counted from 1, whose spatial features give anomaly maps. */
  layers: z.array(z.int().positive()).min(1),
  /** How many of the last blocks carry the refined dense path. */
  eattnBlocks: z.int().nonnegative(),
  attention: z.enum(ATTENTION_TYPES).default('qq+kk+vv'),
  fusion: z.enum(FUSIONS).default('soft'),
  /** Score-based pooling of patch tokens into the image score (docs/method.md#pooling). */
  pooling: z.boolean().default(true),
  /** Whether prompts are conditioned on the image when scoring; the reference does so in training only
   * (docs/method.md#context-when-scoring). */
  context: z.boolean().default(false),
  contextPosition: z.enum(CONTEXT_POSITIONS).default('pad_suffix'),
  /** Standard deviation of the Gaussian over the anomaly map, in pixels of the network input; 0 leaves it out. */
  sigma: z.number().nonnegative().default(4),
  /** Temperature of patch and image similarities when scoring (docs/method.md#temperatures). */
  temperature: z.number().positive().default(0.07),
  /** The kind of vision model that guides D-Attn (Crane+); without one the maps come from E-Attn alone (Crane). */
  spatial: z.enum(['none', ...SPATIAL_FAMILIES]).default('none'),
  /** Leave E-Attn's features out of map and score, and use D-Attn's only. */
  spatialOnly: z.boolean().default(false),
  /** Multiple of the mean similarity below which D-Attn cuts. */
  dattnBeta: z.number().nonnegative(),
  /** How sharply D-Attn prefers similar patches. */
  dattnGamma: z.number().positive().default(3),
  dattnMean: z.enum(DATTN_MEANS).default('image'),
});

export type ModelOptions = z.output<typeof modelOptionsSchema>;
/** What a caller may leave out. */
export type ModelOptionsInput = Partial<z.input<typeof modelOptionsSchema>>;

/**
 * Checks model options as far as possible without a backbone, before anything is loaded.
 * @throws UsageError naming the option, what was found and what is legal
 */
export function checkModelOptions(input: ModelOptionsInput): void {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const parsed = modelOptionsSchema.partial().safeParse(given);
  if (!parsed.success) throw optionsError(parsed.error.issues, given);
}

/** Where D-Attn cuts, by the model that guides it (docs/method.md#d-attn). */
const DATTN_BETA = { none: 1.2, dinov2: 1.2, dino: 1.2, sam: 1.08 } as const;

/** Side of the network input that the paper uses with its backbone. */
const PAPER_IMAGE_SIZE = 518;

/**
 * Completes options for a backbone: image size 518 for the paper's, else the native size; layers at
 * each quarter of the depth, with D-Attn the last alone; E-Attn from a quarter of the depth on (19 of 24 blocks,
 * docs/method.md#nineteen-blocks).
 * @throws UsageError naming the option, what was found and what is legal
 */
export function completeModelOptions(input: ModelOptionsInput, sizes: ClipSizes): ModelOptions {
  const { patchSize, gridSize, layers, width } = sizes.vision;
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
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
  if (options.imageSize % patchSize !== 0) {
    const lower = Math.max(1, Math.floor(options.imageSize / patchSize)) * patchSize;
    throw new UsageError(
      'usage/image-size',
      `image size ${options.imageSize} is not a multiple of the backbone's patch size ${patchSize}; ` +
        `the nearest that are: ${lower}, ${lower + patchSize}`,
      { found: options.imageSize, patchSize },
    );
  }
  const outside = options.layers.filter((layer) => layer > layers);
  if (outside.length > 0) {
    throw new UsageError(
      'usage/layers',
      `layers ${outside.join(', ')} were asked for, but this backbone has blocks 1 to ${layers}`,
      { found: options.layers, blocks: layers },
    );
  }
  if (options.eattnBlocks > layers) {
    throw new UsageError(
      'usage/eattn-blocks',
      `${options.eattnBlocks} E-Attn blocks were asked for, but this backbone has ${layers} blocks`,
      { found: options.eattnBlocks, blocks: layers },
    );
  }
  if (options.spatialOnly && options.spatial === 'none') {
    throw new UsageError(
      'usage/spatial-only',
      'features of D-Attn alone were asked for, but there is no second vision model to guide it; name one with `spatial`',
      { spatial: options.spatial },
    );
  }
  const firstDual = layers - options.eattnBlocks + 1;
  const withoutPath = options.spatial === 'none' ? [] : options.layers.filter((layer) => layer < firstDual);
  if (withoutPath.length > 0) {
    throw new UsageError(
      'usage/spatial-layers',
      `D-Attn works in the blocks with a spatial path, ${firstDual > layers ? 'of which 0 E-Attn blocks leave none' : `${firstDual} to ${layers} of this backbone`}; ` +
        `layers ${withoutPath.join(', ')} were asked for`,
      { found: options.layers, firstDual, blocks: layers },
    );
  }
  return options;
}
