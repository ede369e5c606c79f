import * as tf from '@tensorflow/tfjs';
import { defectKinds } from '../../datasets/synthetic/defects';
import { drawPicture } from '../../datasets/synthetic/draw';
import { targetFamilies } from '../../datasets/synthetic/families';
import { classToken, patchTokens } from '../../lib/encoders/clip-vision';
import { axisWeights } from '../../lib/layers/interpolation';
import type { ClipTokenizer } from '../../lib/prompts/tokenizer';
import { CLIP_MEAN, CLIP_STD } from '../../lib/image/normalisation';
import { patchLogits, pooledFeature, unit } from './losses';
import type { NanoNetwork } from './network';
import { NANO_SIZES } from './recipe';
import { PLAIN_PROMPTS, type PromptPair } from './texts';

/** Zero-shot metrics on families and, in part, kinds of defects that pretraining never shows; fractions. */
export interface ProbeFigures {
  readonly seenImage: number;
  readonly seenPixel: number;
  readonly unseenImage: number;
  readonly unseenPixel: number;
}

/** Images of the target families for measuring a run: a third perfect, a third with seen kinds, a third with unseen. */
export interface ProbePictures {
  readonly images: Float32Array; // [count, size, size, 3], normalised
  readonly masks: Uint8Array; // [count, side, side], every second pixel
  /** 0 perfect, 1 a seen kind of defect, 2 an unseen one. */
  readonly groups: Uint8Array; // [count]
}

const SIZE = NANO_SIZES.vision.patchSize * NANO_SIZES.vision.gridSize;
const SIDE = SIZE / 2;
const BATCH = 32;

/** Generates the probe. Every image is rendered at twice the size and averaged down, as a photograph would be. */
export function drawProbe(perGroup: number): ProbePictures {
  const count = 3 * perGroup;
  const images = new Float32Array(count * SIZE * SIZE * 3);
  const masks = new Uint8Array(count * SIDE * SIDE);
  const groups = new Uint8Array(count);
  for (let index = 0; index < count; index++) {
    const group = index % 3;
    const turn = Math.floor(index / 3);
    const family = targetFamilies[turn % targetFamilies.length]?.name as string;
    const kinds = group === 1 ? defectKinds.seen : defectKinds.unseen;
    const defect =
      group === 0 ? null : (kinds[(turn + Math.floor(turn / targetFamilies.length)) % kinds.length] as string);
    const { pixels, mask } = drawPicture({ family, defect, seed: `probe/${index}`, size: 2 * SIZE });
    groups[index] = group;
    for (let row = 0; row < SIZE; row++) {
      for (let column = 0; column < SIZE; column++) {
        for (let channel = 0; channel < 3; channel++) {
          const at = (2 * row * 2 * SIZE + 2 * column) * 3 + channel;
          const value =
            (pixels[at]! + pixels[at + 3]! + pixels[at + 6 * SIZE]! + pixels[at + 6 * SIZE + 3]!) / (4 * 255);
          images[((index * SIZE + row) * SIZE + column) * 3 + channel] =
            (value - CLIP_MEAN[channel]!) / CLIP_STD[channel]!;
        }
      }
    }
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++)
        masks[(index * SIDE + row) * SIDE + column] = mask[4 * row * 2 * SIZE + 4 * column] as number;
    }
  }
  return { images, masks, groups };
}

/** Scores the probe as Crane does (docs/method.md#scores), with the mean of plain prompts or a single pair. */
export function runProbe(
  network: NanoNetwork,
  tokenizer: ClipTokenizer,
  probe: ProbePictures,
  prompts: readonly PromptPair[] = PLAIN_PROMPTS,
): ProbeFigures {
  const count = probe.groups.length;
  const scores = new Float32Array(count);
  const maps = new Float32Array(count * SIDE * SIDE);
  const direction = tf.tidy(() => {
    const side = (texts: readonly string[]): tf.Tensor =>
      unit(tf.mean(unit(network.text.encode(texts.map((text) => tokenizer.tokenize(text)))), 0, true));
    return tf.sub(
      side(prompts.map(({ damaged }) => damaged)),
      side(prompts.map(({ normal }) => normal)),
    ) as tf.Tensor2D; // [1, E]
  });
  const smoothing = smoothingMatrix();
  for (let first = 0; first < count; first += BATCH) {
    const batch = Math.min(BATCH, count - first);
    const length = SIZE * SIZE * 3;
    const [score, map] = tf.tidy(() => {
      const images = tf.tensor4d(probe.images.subarray(first * length, (first + batch) * length), [
        batch,
        SIZE,
        SIZE,
        3,
      ]);
      const { tokens, taps } = network.vision.forward(images, { training: true });
      const global = unit(network.vision.project(classToken(tokens))) as tf.Tensor2D;
      const spatial = [...taps.values()].at(-1) as tf.Tensor3D;
      const patches = unit(network.vision.project(patchTokens(spatial))) as tf.Tensor3D;
      const directions = tf.tile(direction, [batch, 1]) as tf.Tensor2D;
      const logits = patchLogits(patches, directions);
      const pooled = pooledFeature(global, patches, logits);
      const { gridSize } = NANO_SIZES.vision;
      const grid = tf.reshape(tf.sigmoid(logits), [batch, gridSize, gridSize]) as tf.Tensor3D;
      const matrix = tf.tile(tf.expandDims(smoothing, 0), [batch, 1, 1]) as tf.Tensor3D; // [B, side, grid]
      return [tf.sum(tf.mul(pooled, directions), 1), tf.matMul(tf.matMul(matrix, grid), matrix, false, true)];
    }) as [tf.Tensor, tf.Tensor];
    scores.set(score.dataSync(), first);
    maps.set(map.dataSync(), first * SIDE * SIDE);
    tf.dispose([score, map]);
  }
  tf.dispose([direction, smoothing]);
  return { ...figuresOf(probe, scores, maps, 1), ...figuresOf(probe, scores, maps, 2) } as unknown as ProbeFigures;
}

function figuresOf(
  { groups, masks }: ProbePictures,
  scores: Float32Array,
  maps: Float32Array,
  group: 1 | 2,
): Partial<ProbeFigures> {
  const chosen = Array.from(groups.keys()).filter((index) => groups[index] === 0 || groups[index] === group);
  const image = areaUnderRoc(
    Float32Array.from(chosen, (index) => scores[index]! + 4),
    Uint8Array.from(chosen, (index) => (groups[index] === 0 ? 0 : 1)),
  );
  const pixels = SIDE * SIDE;
  const values = new Float32Array(chosen.length * pixels);
  const labels = new Uint8Array(chosen.length * pixels);
  chosen.forEach((index, at) => {
    values.set(maps.subarray(index * pixels, (index + 1) * pixels), at * pixels);
    labels.set(masks.subarray(index * pixels, (index + 1) * pixels), at * pixels);
  });
  const pixel = areaUnderRoc(values, labels);
  return group === 1 ? { seenImage: image, seenPixel: pixel } : { unseenImage: image, unseenPixel: pixel };
}

/** Bilinear upsampling to every second pixel and the Gaussian of sigma 4 in one matrix, `[side, grid]`. */
function smoothingMatrix(): tf.Tensor2D {
  return tf.tidy(() => {
    const up = tf.tensor2d(axisWeights(NANO_SIZES.vision.gridSize, SIZE, 'bilinear'), [
      SIZE,
      NANO_SIZES.vision.gridSize,
    ]);
    const gauss = new Float32Array(SIDE * SIZE);
    for (let row = 0; row < SIDE; row++) {
      let sum = 0;
      for (let column = 0; column < SIZE; column++) {
        const weight = Math.exp(-((2 * row - column) ** 2) / (2 * 16));
        gauss[row * SIZE + column] = weight;
        sum += weight;
      }
      for (let column = 0; column < SIZE; column++) gauss[row * SIZE + column] = gauss[row * SIZE + column]! / sum;
    }
    return tf.matMul(tf.tensor2d(gauss, [SIDE, SIZE]), up) as tf.Tensor2D;
  });
}

/**
 * Area under the ROC curve, with ties counting one half. Scores are not negative.
 * @returns NaN where one of the two classes is missing
 */
export function areaUnderRoc(scores: Float32Array, labels: Uint8Array): number {
  // The bits of non-negative floats sort like the floats; the label is added as the lowest bit.
  const bits = new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
  const keys = Float64Array.from(bits, (value, index) => value * 2 + (labels[index] as number)).sort();
  let [negatives, positives, area] = [0, 0, 0];
  for (let start = 0; start < keys.length;) {
    const value = Math.floor(keys[start]! / 2);
    let [below, above, end] = [0, 0, start];
    for (; end < keys.length && Math.floor(keys[end]! / 2) === value; end++) {
      if (keys[end]! % 2 === 1) above += 1;
      else below += 1;
    }
    area += above * (negatives + below / 2);
    negatives += below;
    positives += above;
    start = end;
  }
  return area / (negatives * positives);
}
