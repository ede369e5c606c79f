/** Eigenvalues, largest first, and the eigenvectors as rows, of a symmetric matrix `[n, n]`, by Jacobi rotations. */
export function symmetricEigen(
  matrix: Float64Array,
  n: number,
): { readonly values: Float64Array; readonly vectors: Float64Array } {
  const a = Float64Array.from(matrix);
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  let scale = 0;
  for (let i = 0; i < n; i++) scale += a[i * n + i]! ** 2;
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p * n + q]! ** 2;
    if (off <= 1e-22 * scale) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const apq = a[p * n + q]!;
        if (Math.abs(apq) < 1e-300) continue;
        const theta = (a[q * n + q]! - a[p * n + p]!) / (2 * apq);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const [akp, akq] = [a[k * n + p]!, a[k * n + q]!];
          a[k * n + p] = c * akp - s * akq;
          a[k * n + q] = s * akp + c * akq;
        }
        for (let k = 0; k < n; k++) {
          const [apk, aqk] = [a[p * n + k]!, a[q * n + k]!];
          a[p * n + k] = c * apk - s * aqk;
          a[q * n + k] = s * apk + c * aqk;
        }
        for (let k = 0; k < n; k++) {
          const [vp, vq] = [v[p * n + k]!, v[q * n + k]!];
          v[p * n + k] = c * vp - s * vq;
          v[q * n + k] = s * vp + c * vq;
        }
      }
    }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * n + j]! - a[i * n + i]!);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => vectors.set(v.subarray(from * n, (from + 1) * n), to * n));
  return { values: Float64Array.from(order, (i) => a[i * n + i]!), vectors };
}

/**
 * A patch projection that gives every unit the same variance over natural patches: the leading principal components,
 * each divided by its deviation. A network that starts from it sees fine texture from the beginning, not just
 * brightness.
 * @param images normalised `[count, size, size, 3]`
 * @returns the kernel as a checkpoint keeps it, `[units, 3, patchSize, patchSize]`
 */
export function whitenedKernel(
  images: Float32Array,
  count: number,
  size: number,
  patchSize: number,
  units: number,
): Float32Array {
  const n = patchSize * patchSize * 3;
  const grid = Math.floor(size / patchSize);
  const mean = new Float64Array(n);
  const products = new Float64Array(n * n);
  const patch = new Float64Array(n);
  let patches = 0;
  for (let image = 0; image < count; image++) {
    for (let cell = 0; cell < grid * grid; cell++) {
      const [top, left] = [Math.floor(cell / grid) * patchSize, (cell % grid) * patchSize];
      for (let row = 0, at = 0; row < patchSize; row++) {
        const start = ((image * size + top + row) * size + left) * 3;
        for (let i = 0; i < patchSize * 3; i++, at++) patch[at] = images[start + i]!;
      }
      for (let i = 0; i < n; i++) {
        const value = patch[i]!;
        mean[i] = mean[i]! + value;
        for (let j = i; j < n; j++) products[i * n + j] = products[i * n + j]! + value * patch[j]!;
      }
      patches += 1;
    }
  }
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      const covariance = products[i * n + j]! / patches - (mean[i]! / patches) * (mean[j]! / patches);
      products[i * n + j] = covariance;
      products[j * n + i] = covariance;
    }
  }
  const { values, vectors } = symmetricEigen(products, n);
  // Components below the noise level are not scaled up like the others.
  const floor = 1e-3;
  const kernel = new Float32Array(units * n);
  for (let unit = 0; unit < units; unit++) {
    const scale = 1 / Math.sqrt(Math.max(values[unit] ?? 0, 0) + floor);
    for (let row = 0, at = 0; row < patchSize; row++) {
      for (let column = 0; column < patchSize; column++) {
        for (let channel = 0; channel < 3; channel++, at++) {
          kernel[((unit * 3 + channel) * patchSize + row) * patchSize + column] = (vectors[unit * n + at] ?? 0) * scale;
        }
      }
    }
  }
  return kernel;
}
