import fc from 'fast-check';
import { bicubicWeights, type BicubicOptions } from '../../lib/layers/bicubic';
import { expectClose } from '../goldens';

/** A plane without symmetries. */
const plane = (side: number): number[][] =>
  Array.from({ length: side }, (_, i) =>
    Array.from({ length: side }, (__, j) => Math.sin(1.7 * i * i + 0.9 * j + 0.3 * i * j)),
  );

function resize(side: number, rows: number, columns: number, options: (to: number) => BicubicOptions): number[] {
  const [vertical, horizontal, from] = [
    bicubicWeights(side, rows, options(rows)),
    bicubicWeights(side, columns, options(columns)),
    plane(side),
  ];
  return Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    from.forEach((line, i) =>
      line.forEach(
        (value, j) => (sum += (vertical[row * side + i] as number) * (horizontal[column * side + j] as number) * value),
      ),
    );
    return sum;
  });
}

const rules = {
  antialias: () => () => ({ antialias: true }),
  size: () => () => ({}),
  offset: (side: number) => (to: number) => ({ scale: side / (to + 0.1) }),
} as const;

/** `torch.nn.functional.interpolate(mode='bicubic')` of PyTorch 2.15 on the plane, every so many values. */
test.each<[keyof typeof rules, number, number, number, number, number[]]>([
  ['antialias', 6, 5, 5, 3, [0.247556, -0.177455, 0.14349, 1.0716, -0.063737, 0.452312, -0.20783, 0.376624, -0.465937]],
  ['antialias', 6, 9, 4, 5, [0.231034, 0.218902, -0.618081, 0.883613, -0.134148, -0.274792, 0.11191, -0.166401]],
  ['antialias', 6, 3, 13, 5, [0.481795, 0.007028, 0.040958, 0.111497, 0.009036, 0.322311, -0.143725, 0.028831]],
  ['antialias', 5, 1, 2, 1, [0.196977, -0.108702]],
  ['offset', 6, 6, 6, 5, [-0.01079, -0.954483, 0.107096, -1.02924, -0.020226, -0.929047, -0.865097, -0.690789]],
  [
    'offset',
    6,
    3,
    11,
    4,
    [0.506402, 0.134177, -0.132924, 0.344846, -0.232105, 0.171811, -0.249749, 0.407277, -0.191354],
  ],
  ['offset', 5, 1, 2, 1, [1.019691, -1.105112]],
  ['size', 6, 9, 4, 5, [0.111087, 0.149763, -0.742198, 1.024504, 0.073204, -0.405555, 0.167906, -0.429115]],
])('%s from %i to %i x %i equals PyTorch', (rule, side, rows, columns, step, want) => {
  const got = resize(side, rows, columns, rules[rule](side));
  expectClose(
    want.map((_, index) => got[index * step] as number),
    want,
    3e-6,
  );
});

/** The cubic convolution written out by its two polynomials, and the mean taken over a padded line. */
function slowly(
  line: readonly number[],
  to: number,
  { antialias = false, scale = line.length / to }: BicubicOptions,
): number[] {
  const a = antialias ? -0.5 : -0.75;
  const kernel = (x: number): number => {
    const d = Math.abs(x);
    if (d <= 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
    return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
  };
  const stretch = antialias ? Math.max(1, scale) : 1;
  return Array.from({ length: to }, (_, i) => {
    const place = (i + 0.5) * scale - 0.5;
    let [sum, total] = [0, 0];
    for (let at = -40; at < line.length + 40; at++) {
      const inside = at >= 0 && at < line.length;
      if (antialias && !inside) continue;
      const weight = kernel((at - place) / stretch);
      sum += weight * (line[Math.min(line.length - 1, Math.max(0, at))] as number);
      total += weight;
    }
    return antialias ? sum / total : sum;
  });
}

test('any sizes equal the formula', () => {
  const sizes = fc.record({
    from: fc.integer({ min: 1, max: 24 }),
    to: fc.integer({ min: 1, max: 30 }),
    antialias: fc.boolean(),
    offset: fc.boolean(),
  });
  fc.assert(
    fc.property(sizes, ({ from, to, antialias, offset }) => {
      const options = { antialias, ...(offset && !antialias ? { scale: from / (to + 0.1) } : {}) };
      const line = Array.from({ length: from }, (_, index) => Math.cos(2.3 * index * index + 1));
      const weights = bicubicWeights(from, to, options);
      const got = Array.from({ length: to }, (_, i) =>
        line.reduce((sum, value, at) => sum + value * (weights[i * from + at] as number), 0),
      );
      expectClose(got, slowly(line, to, options), 1e-5);
    }),
  );
});

test('the same size changes nothing, with the antialiased kernel too', () => {
  for (const antialias of [false, true]) {
    const weights = bicubicWeights(5, 5, { antialias });
    expectClose(
      weights,
      Array.from({ length: 25 }, (_, at) => (at % 6 === 0 ? 1 : 0)),
      1e-7,
    );
  }
});
