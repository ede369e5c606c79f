import { z } from 'zod';
import type { ClipSizes } from '../../encoders/clip-sizes';
import { UsageError } from '../../errors';
import { optionsError } from '../../option-errors';
import { refusePartialPatches } from '../image-size';
import type { OptionsInput } from '../method';
import { TEMPLATE_SETS } from './sentences';

/** How WinCLIP scores an image, without normal images (docs/method.md#winclip). What `describe` says is the help of the commands. */
export const winclipOptionsSchema = z.object({
  // Options that several methods have are documented in one of them, which the API reference shows.
  imageSize: z.int().positive().describe('side of the network input in pixels'),
  /** Sides of the windows in patches; the whole image is a further scale. */
  windows: z.array(z.int().positive()).min(1).default([2, 3]).describe('sides of the windows in patches, such as 2,3'),
  /** `full-stop`: 21 templates that end with one; `plain`: the paper's 22 without (docs/method.md#winclip-sentences). */
  templates: z.enum(TEMPLATE_SETS).default('full-stop').describe('sentences that end with a full stop, or without'),
  temperature: z.number().positive().default(0.07).describe('of the similarity of images and prompts'),
});

export type WinclipOptions = z.output<typeof winclipOptionsSchema>;

/**
 * Completes options for a backbone.
 * @throws UsageError naming the option, what was found and what is legal
 */
export function completeWinclipOptions(
  input: OptionsInput<WinclipOptions>,
  { vision: { patchSize, gridSize } }: ClipSizes,
): WinclipOptions {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const parsed = winclipOptionsSchema.safeParse({ imageSize: patchSize * gridSize, ...given });
  if (!parsed.success) throw optionsError(parsed.error.issues, given);
  const { imageSize, windows } = parsed.data;
  refusePartialPatches(imageSize, { patchSize });
  const side = imageSize / patchSize;
  const tooLarge = windows.filter((window) => window > side);
  if (tooLarge.length > 0) {
    throw new UsageError(
      'usage/windows',
      `\`windows\` ${tooLarge.join(', ')}: the image has ${side} x ${side} patches; expected sides of ${side} at most`,
      { found: windows, most: side },
    );
  }
  return parsed.data;
}
