import { UsageError } from '../errors';
import type { VisionSizes } from '../encoders/clip-sizes';

/**
 * Refuses a network input that cannot be cut into whole patches.
 * @throws UsageError naming the sizes nearest to it
 */
export function refusePartialPatches(imageSize: number, { patchSize }: Pick<VisionSizes, 'patchSize'>): void {
  if (imageSize % patchSize === 0) return;
  const lower = Math.max(1, Math.floor(imageSize / patchSize)) * patchSize;
  throw new UsageError(
    'usage/image-size',
    `image size ${imageSize} is not a multiple of the backbone's patch size ${patchSize}; ` +
      `the nearest that are: ${lower}, ${lower + patchSize}`,
    { found: imageSize, patchSize },
  );
}
