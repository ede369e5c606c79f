import type { SpatialFamily } from '../encoders/spatial-encoder';

export type WeightsKind = 'backbone' | 'prompts' | 'spatial';

/** One file that can be fetched by name. */
export interface RegisteredWeights {
  /** What the user types, such as `ViT-L/14@336px` or `crane-visa@3`. */
  readonly name: string;
  readonly kind: WeightsKind;
  readonly url: string;
  /** Name of the file in the cache folder. */
  readonly file: string;
  /** Lower-case hex; null where no trusted figure is known, and then nothing but the length can be verified. */
  readonly sha256: string | null;
  /** Exact length; null where not known. */
  readonly bytes: number | null;
  readonly about: string;
  readonly licence: string;
  /** Registered name of the data set that prompts were trained on; null for anything else. */
  readonly trainedOn: string | null;
  /** What kind of vision model it is, of weights that can guide D-Attn. */
  readonly family?: SpatialFamily;
  /** Model options that prompts were trained with, where they are not the backbone's defaults. */
  readonly trainedWith?: { readonly spatial: SpatialFamily | 'none'; readonly layers?: readonly number[] };
}
