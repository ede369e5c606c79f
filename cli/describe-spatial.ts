import { WeightsError } from '../lib/errors';
import { IMAGENET_MEAN, IMAGENET_STD, type Normalisation } from '../lib/image/normalisation';
import type { SpatialFamily } from '../lib/encoders/spatial-encoder';
import { openDinoWeights, type DinoWeights } from '../lib/weights/dino-weights';
import { openSamWeights, type SamWeights } from '../lib/weights/sam-weights';

/** What a file offers for `--spatial-weights`, in words and for programs. */
export interface SpatialDescription {
  readonly family: SpatialFamily;
  /** Without `heads` where the file does not say how many. */
  readonly sizes: object;
  /** Mean and deviation that its images are normalised with. */
  readonly normalisation: Normalisation;
  readonly text: string;
}

/**
 * Describes which vision model a file or folder holds, and its sizes; undefined for other files. A file that
 * looks like one but is incomplete gives the reason instead.
 */
export async function describeSpatial(
  file: string,
): Promise<SpatialDescription | { readonly problem: string } | undefined> {
  const openings = [
    { open: () => openDinoWeights(file), headsAreKnown: true },
    { open: () => openDinoWeights(file, { heads: 1 }), headsAreKnown: false },
    { open: () => openSamWeights(file), headsAreKnown: true },
  ];
  for (const { open, headsAreKnown } of openings) {
    try {
      const weights = await open();
      weights.close();
      const { heads, ...sizes } = weights.sizes;
      return {
        family: weights.family,
        sizes: headsAreKnown ? { heads, ...sizes } : sizes,
        normalisation: weights.normalisation,
        text: inWords(weights, headsAreKnown),
      };
    } catch (error) {
      if (!(error instanceof WeightsError)) throw error;
      if (!['weights/not-dino', 'weights/not-sam', 'weights/heads'].includes(error.code))
        return { problem: error.message };
    }
  }
  return undefined;
}

/** Differences from the official models. */
function unusual({ sizes: { epsilon }, normalisation: { mean, std } }: DinoWeights | SamWeights): string {
  const isImageNets = JSON.stringify([mean, std]) === JSON.stringify([IMAGENET_MEAN, IMAGENET_STD]);
  return `${epsilon === undefined ? '' : `, epsilon ${epsilon}`}${isImageNets ? '' : `, images of mean ${mean.join(', ')} and deviation ${std.join(', ')}`}`;
}

function inWords(weights: DinoWeights | SamWeights, headsAreKnown: boolean): string {
  const { width, layers, heads, patchSize, gridSize } = weights.sizes;
  const inHeads = headsAreKnown ? `${heads} head${heads === 1 ? '' : 's'}` : 'an unknown number of heads';
  const common = `${layers} blocks of ${width} channels in ${inHeads}, patches of ${patchSize} px, native grid ${gridSize} x ${gridSize} (${gridSize * patchSize} px)${unusual(weights)}`;
  if (weights.family === 'sam') {
    const { windowSize, globalBlocks, channels } = weights.sizes;
    return `Image encoder of Segment Anything: ${common}; windows of ${windowSize}, global attention in blocks ${globalBlocks.map((block) => block + 1).join(', ')}; features of ${channels} channels`;
  }
  const { registers, feedForward } = weights.sizes;
  const name = weights.family === 'dinov2' ? 'DINOv2' : 'DINO';
  return `${name}: ${common}${registers > 0 ? `, ${registers} registers` : ''}${feedForward === 'swiglu' ? ', gated feed-forward' : ''}`;
}
