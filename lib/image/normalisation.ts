/** Mean and standard deviation of red, green and blue (0 to 1) that CLIP was trained with (docs/method.md#preprocessing). */
export const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
export const CLIP_STD = [0.26862954, 0.26130258, 0.27577711] as const;

/** The same for networks that were trained on ImageNet's: DINO, DINOv2 and SAM (docs/method.md#second-models). */
export const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
export const IMAGENET_STD = [0.229, 0.224, 0.225] as const;

/** What is taken from red, green and blue (0 to 1), and what the rest is divided by. */
export interface Normalisation {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** Filters that a network's input can be resized with. */
export const RESIZE_FILTERS = ['bicubic', 'bilinear'] as const;
export type ResizeFilter = (typeof RESIZE_FILTERS)[number];

/** How images become a network's input, as its weights say. They are always resized straight to a square (docs/method.md#preprocessing). */
export interface InputRule extends Normalisation {
  readonly resize: ResizeFilter;
}
