import { UsageError } from '../lib/errors';
import { MOST_EPOCHS } from '../train/most-epochs';

/** The allowed values of a numeric option, in words and as a test. */
interface Range {
  readonly expected: string;
  readonly holds: (value: number) => boolean;
}

/** Larger network inputs cannot be computed: attention grows with the fourth power of the side. */
const LARGEST_IMAGE_SIZE = 8192;

const whole = (least: number, greatest = Number.MAX_SAFE_INTEGER, expected = `${least} or more`): Range => ({
  expected: `a whole number, ${expected}`,
  holds: (value) => Number.isInteger(value) && value >= least && value <= greatest,
});
const number = (expected: string, holds: (value: number) => boolean): Range => ({
  expected,
  holds: (value) => Number.isFinite(value) && holds(value),
});
const positive = number('a number above 0', (value) => value > 0);
const weight = number('a number, 0 or more', (value) => value >= 0);
const share = number('a number from 0 to 1', (value) => value >= 0 && value <= 1);

/** By option; an option means the same in all commands. */
const RANGES: Readonly<Record<string, Range>> = {
  'image-size': whole(
    1,
    LARGEST_IMAGE_SIZE,
    `pixels from 1 to ${LARGEST_IMAGE_SIZE}, a multiple of the backbone's patch size`,
  ),
  'eattn-blocks': whole(0, undefined, 'blocks, 0 or more'),
  sigma: number('0 (no smoothing) or more', (value) => value >= 0),
  'spatial-heads': whole(1),
  'dattn-beta': number('0 or more, such as 1.2', (value) => value >= 0),
  'dattn-gamma': number('more than 0, such as 3', (value) => value > 0),
  temperature: number('more than 0, such as 0.07', (value) => value > 0),
  'batch-size': whole(1),
  seed: whole(0),
  threshold: number('a number from 0 to 1, the range of anomaly maps', (value) => value >= 0 && value <= 1),
  epochs: whole(1, MOST_EPOCHS, `1 to ${MOST_EPOCHS}`),
  portion: number('a share above 0 and at most 1', (value) => value > 0 && value <= 1),
  'k-shot': number(
    'a whole number, 2 or more, or 0 for all',
    (value) => Number.isInteger(value) && value >= 0 && value !== 1,
  ),
  'mosaic-rate': share,
  validate: number('a share from 0 to 0.5', (value) => value >= 0 && value <= 0.5),
  'learning-rate': positive,
  'context-probability': share,
  'context-tokens': whole(1),
  'deep-tokens': whole(1),
  depth: whole(1),
  'pixel-weight': weight,
  'image-weight': weight,
  'image-temperature': positive,
  'pixel-temperature': positive,
  'save-every': whole(1),
  'save-frequency': whole(1),
  steps: whole(1),
  'probe-every': whole(0),
  'probe-size': whole(1),
  'images-per-category': whole(1),
  seconds: positive,
  maps: whole(0),
  runs: whole(1),
};

/**
 * Checks a number before anything is loaded; options without a range accept any number.
 * @throws UsageError naming the option, what was found and what was expected
 */
export function checkRange(option: string, value: number): void {
  const range = RANGES[option];
  if (range === undefined || range.holds(value)) return;
  throw new UsageError('usage/number', `--${option} ${value}: expected ${range.expected}`, { option, found: value });
}

export function hasRange(option: string): boolean {
  return option in RANGES;
}
