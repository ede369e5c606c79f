import type { ClipVisionConfig } from '../../encoders/clip-vision';
import type { SpatialEncoder } from '../../encoders/spatial-encoder';
import type { ModelOptions } from './options';

/** Options that affect what is done with features, but not the features. All others count, including future ones. */
const NOT_OF_FEATURES: readonly (keyof ModelOptions)[] = [
  'fusion',
  'pooling',
  'context',
  'contextPosition',
  'sigma',
  'temperature',
];

/** See `FeatureEncoder.key`. Its names and their order are part of every cache. */
export function featuresKey(
  all: ModelOptions,
  { sizes, activation, eattnBlocks, attention, layerTaps }: ClipVisionConfig,
  spatial: SpatialEncoder | undefined,
): Readonly<Record<string, unknown>> {
  const guide = spatial?.getConfig();
  const options = Object.entries(all).filter(([name]) => !NOT_OF_FEATURES.includes(name as keyof ModelOptions));
  return {
    options: Object.fromEntries(options.sort(([a], [b]) => (a < b ? -1 : 1))),
    network: { ...sizes, activation, eattnBlocks, attention, layerTaps: layerTaps ?? null },
    ...(guide === undefined ? {} : { guide: { sizes: guide['sizes'], normalisation: guide['normalisation'] } }),
  };
}
