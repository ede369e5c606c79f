/** The constant that CLIP's layer norms add to the variance (docs/method.md#backbone). */
export const CLIP_EPSILON = 1e-5;

/**
 * Attention heads, where a file does not say or is to be overridden: for both towers, or one number for the vision
 * tower, which also applies to the text tower if its heads are otherwise unknown.
 */
export type HeadsChoice = number | { readonly vision?: number | undefined; readonly text?: number | undefined };

/** The sizes of a transformer: `width` channels, `layers` blocks, `heads` attention heads. */
export interface TransformerSizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Width between the two feed-forward layers, where it is not four times `width`. */
  readonly hidden?: number;
  /** Added to the variance in layer norms, where it is not 1e-5. */
  readonly epsilon?: number;
}

/** The sizes of an image encoder. */
export interface VisionSizes extends TransformerSizes {
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** Side of the native patch grid, such as 24 for 336 px and patches of 14. */
  readonly gridSize: number;
}

/** The sizes of a text encoder; `contextLength` tokens of a vocabulary of `vocabularySize`. */
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

/** The published CLIP networks by name. Sizes are normally read from a file; this table is for use without one. */
export const CLIP_VARIANTS: Readonly<Record<string, ClipSizes>> = {
  'ViT-B/32': clip(512, [32, 7, 768, 12], 512),
  'ViT-B/16': clip(512, [16, 14, 768, 12], 512),
  'ViT-L/14': clip(768, [14, 16, 1024, 24], 768),
  'ViT-L/14@336px': clip(768, [14, 24, 1024, 24], 768),
};
