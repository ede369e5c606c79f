import { Random } from '../../../datasets/synthetic/random';
import { symmetricEigen, whitenedKernel } from '../../../tools/pretraining/whitening';
import { expectClose } from '../../goldens';

describe('eigenvalues of a symmetric matrix', () => {
  test('of two by two, by hand', () => {
    const { values, vectors } = symmetricEigen(Float64Array.from([2, 1, 1, 2]), 2);
    expectClose(values, [3, 1], 1e-12);
    expect(Math.abs(vectors[0]! - vectors[1]!)).toBeLessThan(1e-12);
    expect(Math.abs(vectors[2]! + vectors[3]!)).toBeLessThan(1e-12);
  });

  test('put together again, they are the matrix, and the vectors are orthonormal', () => {
    const n = 12;
    const random = new Random('eigen');
    const root = Float64Array.from({ length: n * n }, () => random.normal());
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) matrix[i * n + j]! += root[i * n + k]! * root[j * n + k]!;
    const { values, vectors } = symmetricEigen(matrix, n);
    const rebuilt = new Float64Array(n * n);
    const products = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        for (let k = 0; k < n; k++) {
          rebuilt[i * n + j]! += values[k]! * vectors[k * n + i]! * vectors[k * n + j]!;
          products[i * n + j]! += vectors[i * n + k]! * vectors[j * n + k]!;
        }
      }
    }
    expectClose(rebuilt, matrix, 1e-9);
    expectClose(
      products,
      Float64Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0)),
      1e-10,
    );
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
  });
});

test('whitened patches are uncorrelated and of one spread, whatever the pictures', () => {
  const [count, size, patch, units] = [60, 8, 2, 6];
  const random = new Random('whitening');
  // Neighbouring samples are alike, as in pictures, and channels differ in strength.
  const images = new Float32Array(count * size * size * 3);
  for (let at = 0; at < images.length; at++)
    images[at] = (1 + (at % 3)) * random.normal() + (at >= 3 ? 0.8 * images[at - 3]! : 0);
  const kernel = whitenedKernel(images, count, size, patch, units); // [units, 3, p, p]
  const outputs: number[][] = [];
  for (let image = 0; image < count; image++) {
    for (let top = 0; top < size; top += patch) {
      for (let left = 0; left < size; left += patch) {
        outputs.push(
          Array.from({ length: units }, (_, unit) => {
            let sum = 0;
            for (let channel = 0; channel < 3; channel++) {
              for (let row = 0; row < patch; row++) {
                for (let column = 0; column < patch; column++) {
                  sum +=
                    kernel[((unit * 3 + channel) * patch + row) * patch + column]! *
                    images[((image * size + top + row) * size + left + column) * 3 + channel]!;
                }
              }
            }
            return sum;
          }),
        );
      }
    }
  }
  const means = Array.from(
    { length: units },
    (_, unit) => outputs.reduce((sum, output) => sum + output[unit]!, 0) / outputs.length,
  );
  for (let a = 0; a < units; a++) {
    for (let b = 0; b < units; b++) {
      const covariance =
        outputs.reduce((sum, output) => sum + (output[a]! - means[a]!) * (output[b]! - means[b]!), 0) / outputs.length;
      expect(covariance).toBeCloseTo(a === b ? 1 : 0, 2);
    }
  }
});
