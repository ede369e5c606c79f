import fc from 'fast-check';
import { makeSample, type Sample } from '../../datasets/sample';
import { selectSamples, type Stratum } from '../../train/selection';

const stratumOf = (name: string, count: number, anomalous: boolean): Stratum => ({
  name: `set/${name}/${anomalous ? 'anomalous' : 'normal'}`,
  anomalous,
  samples: Array.from({ length: count }, (_, index) =>
    makeSample(name, `/${name}/${anomalous}/${index}.png`, anomalous ? 'dent' : null, []),
  ),
});
const strata = [
  stratumOf('cap', 10, false),
  stratumOf('cap', 7, true),
  stratumOf('nut', 3, false),
  stratumOf('nut', 20, true),
];
const select = (
  options: Partial<Parameters<typeof selectSamples>[1]> = {},
  from = strata,
): ReturnType<typeof selectSamples> =>
  selectSamples(from, { seed: 111, kShot: 0, portion: 1, validate: 0, ...options });
const counts = (chosen: readonly Sample[]): number[] =>
  ['cap', 'nut'].flatMap((category) =>
    [false, true].map(
      (anomalous) => chosen.filter((sample) => sample.category === category && sample.anomalous === anomalous).length,
    ),
  );

test('all images in their order, unless told', () => {
  expect(select()).toEqual({ training: strata.flatMap(({ samples }) => samples), validation: [] });
});

test('a portion of each category, normal and anomalous alike, rounded down as the reference does', () => {
  expect(counts(select({ portion: 0.5 }).training)).toEqual([5, 3, 1, 10]);
  // 0.3 * 10 is a little more than 3 in binary, 0.7 * 10 a little less than 7.
  expect(counts(select({ portion: 0.7 }).training)).toEqual([7, 4, 2, 14]);
  expect(counts(select({ portion: 0.29 }, [stratumOf('cap', 100, false)]).training)).toEqual([29, 0, 0, 0]);
});

test('k shots are half normal and half anomalous, as far as there are so many; they go before the portion', () => {
  expect(counts(select({ kShot: 8, portion: 0.1 }).training)).toEqual([4, 4, 3, 4]);
  expect(counts(select({ kShot: 5 }).training)).toEqual([2, 2, 2, 2]);
});

test('a share of every stratum is held back, at least one, and at least one stays', () => {
  const { training, validation } = select({ validate: 0.1 });
  expect(counts(validation)).toEqual([1, 1, 1, 2]);
  expect(counts(training)).toEqual([9, 6, 2, 18]);
  expect(counts(select({ validate: 0.5 }, [stratumOf('cap', 1, true), stratumOf('nut', 2, true)]).validation)).toEqual([
    0, 0, 0, 1,
  ]);
});

test('another seed chooses others', () => {
  expect(select({ portion: 0.5, seed: 7 }).training).not.toEqual(select({ portion: 0.5 }).training);
  expect(select({ validate: 0.3, seed: 7 }).validation).not.toEqual(select({ validate: 0.3 }).validation);
});

test('nothing is chosen twice, nothing invented, and the choice of one category does not depend on the others', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.05, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      fc.nat(40),
      fc.nat(),
      (portion, validate, shots, seed) => {
        const options = { portion, validate, kShot: shots === 1 ? 2 : shots, seed };
        const { training, validation } = select(options);
        const both = [...training, ...validation];
        const all = strata.flatMap(({ samples }) => samples);
        expect(new Set(both).size).toBe(both.length);
        expect(both.every((sample) => all.includes(sample))).toBe(true);
        const alone = select(options, strata.slice(2));
        expect(alone.training).toEqual(training.filter(({ category }) => category === 'nut'));
        expect(alone.validation).toEqual(validation.filter(({ category }) => category === 'nut'));
        // Those that are trained on keep their order.
        const places = training.map((sample) => all.indexOf(sample));
        expect(places).toEqual([...places].sort((a, b) => a - b));
      },
    ),
  );
});
