import { allCaptionWords } from '../../datasets/synthetic/captions';
import { pretrainingFamilies } from '../../datasets/synthetic/families';
import { Random } from '../../datasets/synthetic/random';
import { ClipTokenizer } from '../../lib/prompts/tokenizer';
import type { Recipe } from './recipe';

/** A sentence about a perfect object, and its counterpart about a damaged one. */
export interface PromptPair {
  readonly normal: string;
  readonly damaged: string;
}

/**
 * States as the published methods spell them (docs/method.md#state-words); the plain name means a perfect object.
 */
const NORMAL_STATES = [
  '{}',
  '{}',
  '{}',
  'flawless {}',
  'perfect {}',
  'unblemished {}',
  'normal {}',
  '{} without flaw',
  '{} without defect',
  '{} without damage',
];
const DAMAGED_STATES = [
  'damaged {}',
  'damaged {}',
  'damaged {}',
  'damaged {}',
  'broken {}',
  'abnormal {}',
  'imperfect {}',
  'blemished {}',
  '{} with flaw',
  '{} with defect',
  '{} with damage',
];

const TEMPLATES = [
  '{}.',
  'a photo of a {}.',
  'a photo of the {}.',
  'a cropped photo of the {}.',
  'a cropped photo of a {}.',
  'a close-up photo of a {}.',
  'a close-up photo of the {}.',
  'a bright photo of a {}.',
  'a bright photo of the {}.',
  'a dark photo of the {}.',
  'a dark photo of a {}.',
  'a jpeg corrupted photo of a {}.',
  'a jpeg corrupted photo of the {}.',
  'a blurry photo of the {}.',
  'a blurry photo of a {}.',
  'a photo of a small {}.',
  'a photo of the small {}.',
  'a photo of a large {}.',
  'a photo of the large {}.',
  'a photo of the {} for visual inspection.',
  'a photo of a {} for visual inspection.',
  'a photo of the {} for anomaly detection.',
  'a photo of a {} for anomaly detection.',
  'a bad photo of a {}.',
  'a bad photo of the {}.',
  'a low resolution photo of the {}.',
  'a low resolution photo of a {}.',
  'a photo of my {}.',
  'a photo of the cool {}.',
  'a photo of a cool {}.',
  'a black and white photo of the {}.',
  'a black and white photo of a {}.',
  'a good photo of the {}.',
  'a good photo of a {}.',
  'a photo of one {}.',
  'there is a {} in the scene.',
  'there is the {} in the scene.',
  'this is a {} in the scene.',
  'this is the {} in the scene.',
  'this is one {} in the scene.',
  'an industrial photo of a {}',
  'an industrial image of the {}',
  'a manufacturing image of a {}',
  'a textural photo of the {}',
  'a surface picture of a {}',
];

const NOUNS = ['object', 'object', 'object', 'thing', 'product', 'part', 'surface', 'texture', 'image'];

/** Words from category names of common sets, so that prompts can use them; they stay untrained. */
const FURTHER_WORDS = [
  'bottle cable capsule carpet grid hazelnut leather metal nut pill screw tile toothbrush transistor wood zipper candle cashew chewing gum macaroni pipe pcb fryum skin colon thyroid brain item sample piece material fabric anomaly anomalous healthy diseased with without and in on',
];

/** Fills a template; "a" before a vowel becomes "an". */
function fill(template: string, words: string): string {
  return template.replace('{}', words).replace(/\ba (?=[aeiou])/g, 'an ');
}

/** The pairs of prompts that batch `step` is compared with. Half of them resemble learned prompts. */
export function promptPairsOf(recipe: Recipe, step: number): PromptPair[] {
  const random = new Random(`${recipe.seed}/prompts/${step}`);
  return Array.from({ length: recipe.promptPairs }, (_, index) =>
    index % 2 === 0 ? learnedLookalike(random) : sentences(random),
  );
}

/**
 * Learned prompts are arbitrary tokens, then "object." or "damaged object." (docs/method.md#prompts); random words
 * replace those tokens.
 */
function learnedLookalike(random: Random): PromptPair {
  const filler = random.next();
  const count = filler < 0.2 ? 0 : random.chance(0.6) ? 12 : random.integer(1, 12);
  const word = (): string => (filler < 0.5 ? 'X' : random.pick(fillers));
  const before = (): string => Array.from({ length: count }, word).join(' ');
  return { normal: `${before()} object.`, damaged: `${before()} damaged object.` };
}

function sentences(random: Random): PromptPair {
  const noun = random.chance(0.6) ? random.pick(NOUNS) : random.pick(pretrainingFamilies).name;
  const template = random.pick(TEMPLATES);
  return {
    normal: fill(template, random.pick(NORMAL_STATES).replace('{}', noun)),
    damaged: fill(template, random.pick(DAMAGED_STATES).replace('{}', noun)),
  };
}

/** Words that say nothing about the state of an object. */
const fillers: readonly string[] = [
  'X',
  'a',
  'the',
  'of',
  'photo',
  'image',
  'this',
  'is',
  'in',
  'scene',
  ...pretrainingFamilies.flatMap(({ name }) => name.split(' ')),
];

/** Prompts for measuring a run: what a person would write, and what learned prompts start from. */
export const PLAIN_PROMPTS: readonly PromptPair[] = [
  { normal: 'a photo of an object.', damaged: 'a photo of a damaged object.' },
  { normal: 'object.', damaged: 'damaged object.' },
  { normal: 'X X X X X X X X X X X X object.', damaged: 'X X X X X X X X X X X X damaged object.' },
];

/**
 * The vocabulary of the embedded backbone: every byte, so that any text has tokens; every word of captions and prompts;
 * and the start and end tokens. Ascending ids.
 */
export function vocabularyIds(tokenizer: ClipTokenizer = ClipTokenizer.embedded()): number[] {
  const ids = new Set<number>(Array.from({ length: 512 }, (_, id) => id));
  const texts = [
    ...allCaptionWords(),
    ...FURTHER_WORDS,
    ...TEMPLATES,
    ...NORMAL_STATES,
    ...DAMAGED_STATES,
    ...NOUNS,
    ...fillers,
    ...PLAIN_PROMPTS.flatMap(({ normal, damaged }) => [normal, damaged]),
    'an',
  ];
  for (const text of texts) for (const id of tokenizer.encode(text.replace('{}', ' '))) ids.add(id);
  ids.add(tokenizer.startToken).add(tokenizer.endToken);
  return [...ids].sort((a, b) => a - b);
}
