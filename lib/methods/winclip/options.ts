import { definedOptions } from '../../defined-options';
import { z } from 'zod';
import type { ClipSizes } from '../../encoders/clip-sizes';
import { UsageError } from '../../errors';
import { optionsError } from '../../option-errors';
import { refusePartialPatches } from '../image-size';
import type { OptionsInput } from '../method';
import { TEMPLATE_SETS } from './sentences';

/** How WinCLIP scores an image, without normal images (docs/method.md#winclip). The `describe` texts are the help of the
 * commands; options that Crane also has are documented there. */
export const winclipOptionsSchema = z.object({
  imageSize: z.int().positive().describe('side of the network input in pixels'),
  /** Sides of the windows in patches; the whole image is a further scale. */
  windows: z.array(z.int().positive()).min(1).default([2, 3]).describe('sides of the windows in patches, such as 2,3'),
  /** `full-stop`: 21 templates that end with one; `plain`: the paper's 22 without it (docs/method.md#winclip-sentences). */
  templates: z.enum(TEMPLATE_SETS).default('full-stop').describe('sentences with or without a final full stop'),
  temperature: z.number().positive().default(0.07).describe('temperature of the similarity of images and prompts'),
});

export type WinclipOptions = z.output<typeof winclipOptionsSchema>;

/**
 * Completes options for a backbone.
 * @throws UsageError naming the option, what was found and what is allowed
 */
export function completeWinclipOptions(
  input: OptionsInput<WinclipOptions>,
  { vision: { patchSize, gridSize } }: ClipSizes,
): WinclipOptions {
  const given = definedOptions(input);
  const parsed = winclipOptionsSchema.safeParse({ imageSize: patchSize * gridSize, ...given });
  if (!parsed.success) throw optionsError(parsed.error.issues, given);
  const { imageSize, windows } = parsed.data;
  refusePartialPatches(imageSize, { patchSize });
  const side = imageSize / patchSize;
  const tooLarge = windows.filter((window) => window > side);
  if (tooLarge.length > 0) {
    throw new UsageError(
      'usage/windows',
      `\`windows\` ${tooLarge.join(', ')}: the image has ${side} x ${side} patches; expected sides of at most ${side}`,
      { found: windows, most: side },
    );
  }
  return parsed.data;
}
