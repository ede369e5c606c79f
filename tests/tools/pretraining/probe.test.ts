import * as fc from 'fast-check';
import { defectKinds } from '../../../datasets/synthetic/defects';
import { areaUnderRoc, drawProbe } from '../../../tools/pretraining/probe';

test('the area under the ROC curve is the share of pairs in the right order, ties half', () => {
  const pairs = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.boolean()), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(pairs, (items) => {
      const positives = items.filter(([, label]) => label).map(([score]) => score);
      const negatives = items.filter(([, label]) => !label).map(([score]) => score);
      const got = areaUnderRoc(
        Float32Array.from(items, ([score]) => score / 3),
        Uint8Array.from(items, ([, label]) => Number(label)),
      );
      if (positives.length === 0 || negatives.length === 0) {
        expect(got).toBeNaN();
        return;
      }
      let right = 0;
      for (const p of positives) for (const n of negatives) right += p > n ? 1 : p === n ? 0.5 : 0;
      expect(got).toBeCloseTo(right / (positives.length * negatives.length), 10);
    }),
  );
});

test('the probe has perfect pictures without masks, and damaged ones with', () => {
  const { groups, masks, images } = drawProbe(4);
  const pixels = masks.length / groups.length;
  expect([...groups]).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
  expect(images.length).toBe(groups.length * pixels * 4 * 3);
  groups.forEach((group, index) => {
    const marked = masks.subarray(index * pixels, (index + 1) * pixels).reduce((sum, value) => sum + value, 0);
    if (group === 0) expect(marked).toBe(0);
    else expect(marked).toBeGreaterThan(0);
  });
  expect(defectKinds.unseen.some((kind) => defectKinds.seen.includes(kind))).toBe(false);
});
