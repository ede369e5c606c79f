import { allCaptionWords, captionsFor, damagedStates, normalStates } from '../../../datasets/synthetic/captions';
import { defectKinds } from '../../../datasets/synthetic/defects';
import { drawPair } from '../../../datasets/synthetic/draw';
import { families } from '../../../datasets/synthetic/families';

describe('captions', () => {
  it('reads as people write', () => {
    const perfect = captionsFor({ family: 'gear', defect: null });
    expect(perfect).toEqual(
      expect.arrayContaining([
        'a photo of a perfect gear.',
        'a close up of a flawless gear.',
        'a photo of an object.',
        'a photo of a perfect object.',
      ]),
    );
    const damaged = captionsFor({ family: 'gear', defect: 'scratch' });
    expect(damaged).toEqual(
      expect.arrayContaining([
        'a photo of a damaged gear.',
        'a photo of a gear with a scratch.',
        'a photo of a damaged object.',
        'a close up of an object with a scratch.',
      ]),
    );
    expect(perfect.filter((caption) => damaged.includes(caption))).toEqual([]);
  });

  it('never calls a perfect thing damaged or a damaged thing perfect', () => {
    for (const defect of [null, ...defectKinds.seen, ...defectKinds.unseen]) {
      const wrong = defect === null ? damagedStates : normalStates;
      for (const caption of captionsFor({ family: 'wood', defect }))
        for (const word of wrong) expect(caption.split(/[ .]/)).not.toContain(word);
    }
  });

  it('uses a small closed list of words, in the pictures too', () => {
    const words = allCaptionWords();
    expect(words.length).toBeLessThan(150);
    expect(words).toEqual(expect.arrayContaining(['object', 'damaged', 'perfect', 'photo']));
    const known = new Set(words);
    for (const [index, { name }] of families.entries()) {
      const defect = defectKinds.seen[index % defectKinds.seen.length]!;
      const { clean, damaged } = drawPair({ family: name, defect, seed: index, size: 32 });
      for (const picture of [clean, damaged]) {
        expect(captionsFor(picture)).toContain(picture.caption);
        expect(picture.caption).toMatch(/^a [a-z ]+\.$/);
        for (const word of picture.caption.replace('.', '').split(' ')) expect(known.has(word)).toBe(true);
      }
    }
  });
});
