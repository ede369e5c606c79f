import { WeightsError } from '../errors';

type Tower = 'vision' | 'text';

/** Widths whose heads have 64 channels: CLIPs as published by OpenAI, open_clip and others, and small ones such as nano. */
const OF_64_CHANNELS: readonly number[] = [64, 128, 192, 256, 384, 512, 640, 768, 896, 1024];

/**
 * Widths of published CLIPs whose heads are counted otherwise (docs/method.md#backbone; open_clip's model
 * configurations): H, g, bigG, e.
 */
const KNOWN_HEADS: Readonly<Record<Tower, Readonly<Record<number, number>>>> = {
  vision: { 1280: 16, 1408: 16, 1664: 16, 1792: 16 },
  text: { 1280: 20 },
};

/**
 * Attention heads of a CLIP tower, which no tensor determines.
 * @param said what the caller, the metadata or a configuration says; without it the published networks' table
 * @param otherwise for a width that is not in the table
 * @throws WeightsError `weights/heads` for a number that does not divide the width, and for a width of no known network
 */
export function clipHeads(
  file: string,
  tower: Tower,
  width: number,
  said: number | undefined,
  otherwise?: number,
): number {
  const count = said ?? KNOWN_HEADS[tower][width] ?? (OF_64_CHANNELS.includes(width) ? width / 64 : otherwise);
  if (count === undefined) {
    throw new WeightsError(
      'weights/heads',
      `${file}: its ${tower} tower is ${width} channels wide, unlike that of any published CLIP, and nothing says how many heads it has; ` +
        'set `heads`, or put the configuration that belongs to the weights beside them',
      { path: file, tower, width },
    );
  }
  if (Number.isInteger(count) && count > 0 && width % count === 0) return count;
  throw new WeightsError(
    'weights/heads',
    `${file}: the ${tower} tower has ${width} channels, which is not divisible by ${count} heads; set \`heads\` to what the weights were trained with`,
    { path: file, tower, width, heads: count },
  );
}
