import type { Activation } from '../lib/layers/mlp';
import type { ClipSizes, TransformerSizes } from '../lib/encoders/clip-sizes';
import type { InputRule } from '../lib/image/normalisation';
import { WeightsError } from '../lib/errors';
import { finishClip, openClipWeights, type OpenClipOptions, refuseIncompleteClip } from '../lib/weights/clip-weights';

/** What a file offers for `--backbone`, in words and for programs. */
export interface ClipDescription {
  readonly sizes: ClipSizes;
  readonly activation: Activation;
  readonly input: InputRule;
  /** Assumptions, made where the file says nothing. */
  readonly guesses: readonly string[];
  readonly text: string;
}

/**
 * Describes which CLIP a file or folder holds and how it is used; undefined for other files. A file that looks like
 * one but cannot be used gives the reason instead.
 */
export async function describeClip(
  file: string,
  options: OpenClipOptions,
): Promise<ClipDescription | { readonly problem: string } | undefined> {
  try {
    const weights = await openClipWeights(file, options);
    try {
      refuseIncompleteClip(weights);
      finishClip(weights.reader);
    } finally {
      weights.close();
    }
    const { sizes, activation, input, guesses } = weights;
    return { sizes, activation, input, guesses, text: inWords(sizes, activation, input) };
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    return error.code === 'weights/not-clip' ? undefined : { problem: error.message };
  }
}

function inWords(
  { vision, text, embedDimension }: ClipSizes,
  activation: Activation,
  { resize, mean, std }: InputRule,
): string {
  const side = vision.patchSize * vision.gridSize;
  return [
    `CLIP: vision tower ${towerInWords(vision)}, patches of ${vision.patchSize} px, native grid ${vision.gridSize} x ${vision.gridSize} (${side} px)`,
    `text tower ${towerInWords(text)}, ${text.contextLength} tokens`,
    `shared space of ${embedDimension}`,
    `activation ${activation}`,
    `images resized to a square ${resize === 'bicubic' ? 'bicubically' : 'bilinearly'}, mean ${mean.join(', ')}, deviation ${std.join(', ')}`,
  ].join('; ');
}

function towerInWords({ layers, width, heads, hidden, epsilon }: TransformerSizes): string {
  const unusual = [
    ...(hidden === undefined ? [] : [`${hidden} channels between its feed-forward layers`]),
    ...(epsilon === undefined ? [] : [`epsilon ${epsilon}`]),
  ];
  return `of ${layers} block${layers === 1 ? '' : 's'} of ${width} channels in ${heads} head${heads === 1 ? '' : 's'}${unusual.length > 0 ? ` (${unusual.join(', ')})` : ''}`;
}
