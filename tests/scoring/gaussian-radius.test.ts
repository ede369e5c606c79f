import { smoothingWeights } from '../../lib/scoring/gaussian';

/** scipy's `gaussian_filter1d` reaches `int(4 * sigma + 0.5)` samples to each side. */
test.each([
  [0.1, 0],
  [0.125, 1],
  [0.2, 1],
  [0.4, 2],
  [0.6, 2],
  [0.9, 4],
  [1.4, 6],
  [4, 16],
])('a sigma of %f reaches %i samples, rounded and not cut', (sigma, radius) => {
  const length = 41;
  const middle = smoothingWeights(length, sigma).subarray(20 * length, 21 * length);
  expect([...middle].map((weight) => weight > 0)).toEqual(
    Array.from({ length }, (_, at) => Math.abs(at - 20) <= radius),
  );
});
