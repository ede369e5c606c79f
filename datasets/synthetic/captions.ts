import { defectKinds, defectNamed } from './defects';
import { families } from './families';
import type { Random } from './random';

/** What a perfect object is called. */
export const normalStates: readonly string[] = ['perfect', 'flawless', 'good', 'clean', 'normal'];
/** What an object with a defect is called. */
export const damagedStates: readonly string[] = ['damaged', 'broken', 'defective', 'faulty', 'bad'];

/** Stands for every family: the learned prompts end in it. */
const OBJECT = 'object';
const openings: readonly string[] = ['a photo of', 'a close up of'];

const withArticle = (words: string): string => `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`;

/**
 * Every caption that is true of an image, in a fixed order; `defect` null for a perfect object. Each also comes with
 * "object" in the place of the family's name.
 */
export function captionsFor({ family, defect }: { family: string; defect: string | null }): string[] {
  const captions: string[] = [];
  for (const noun of [family, OBJECT]) {
    for (const opening of openings) {
      if (defect === null) {
        captions.push(`${opening} ${withArticle(noun)}.`);
        for (const state of normalStates) captions.push(`${opening} ${withArticle(`${state} ${noun}`)}.`);
      } else {
        captions.push(`${opening} ${withArticle(noun)} with ${defectNamed(defect).phrase}.`);
        for (const state of damagedStates) captions.push(`${opening} ${withArticle(`${state} ${noun}`)}.`);
      }
    }
  }
  return captions;
}

/** One caption by chance: of the family mostly, of an "object" one time in four. */
export function captionOf(picture: { family: string; defect: string | null }, random: Random): string {
  const captions = captionsFor(picture);
  const half = captions.length / 2;
  return random.pick(random.chance(0.25) ? captions.slice(half) : captions.slice(0, half));
}

/** Every word that captions use, sorted, without the full stop. */
export function allCaptionWords(): string[] {
  const words = new Set<string>();
  for (const { name } of families) {
    for (const defect of [null, ...defectKinds.seen, ...defectKinds.unseen]) {
      for (const caption of captionsFor({ family: name, defect }))
        for (const word of caption.replace(/\.$/, '').split(' ')) words.add(word);
    }
  }
  return [...words].sort();
}
