import fc from 'fast-check';
import { findContours, maskContours, type Contour } from '../../lib/image/contour';

/** Twice the signed area (shoelace). */
function area(contour: Contour): number {
  let sum = 0;
  for (let at = 0; at < contour.length; at += 2) {
    const next = (at + 2) % contour.length;
    sum +=
      (contour[at] as number) * (contour[next + 1] as number) - (contour[next] as number) * (contour[at + 1] as number);
  }
  return sum / 2;
}

/** Whether a point lies inside an odd number of lines. */
function inside(contours: readonly Contour[], x: number, y: number): boolean {
  let crossings = 0;
  for (const contour of contours) {
    for (let at = 0; at < contour.length; at += 2) {
      const next = (at + 2) % contour.length;
      const [x1, y1, x2, y2] = [contour[at], contour[at + 1], contour[next], contour[next + 1]] as [
        number,
        number,
        number,
        number,
      ];
      if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) crossings++;
    }
  }
  return crossings % 2 === 1;
}

describe('contours', () => {
  test('one pixel is a diamond about its centre', () => {
    const contours = findContours([0, 0, 0, 0, 1, 0, 0, 0, 0], 3, 3, 0.5);
    expect(contours).toHaveLength(1);
    const points = new Set<string>();
    const [only] = contours as [Contour];
    for (let at = 0; at < only.length; at += 2) points.add(`${only[at]},${only[at + 1]}`);
    expect(points).toEqual(new Set(['1,1.5', '1.5,1', '2,1.5', '1.5,2']));
  });

  test('a full picture is outlined along its border, an empty one not at all', () => {
    const [border] = findContours(new Uint8Array(12).fill(1), 4, 3, 0.5) as [Contour];
    const xs = border.filter((_, at) => at % 2 === 0);
    const ys = border.filter((_, at) => at % 2 === 1);
    expect([Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)]).toEqual([0, 4, 0, 3]);
    expect(findContours(new Uint8Array(12), 4, 3, 0.5)).toEqual([]);
  });

  test('the line lies where the level is crossed, in proportion', () => {
    const [line] = findContours([0, 0.8, 0.8, 0, 0.8, 0.8], 3, 2, 0.2) as [Contour];
    expect(Math.min(...line.filter((_, at) => at % 2 === 0))).toBeCloseTo(0.5 + 0.25, 12);
  });

  test('a ring has an outer and an inner line, turning opposite ways', () => {
    const ring = [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0];
    const areas = findContours(ring, 5, 5, 0.5)
      .map(area)
      .sort((a, b) => a - b);
    expect(areas).toHaveLength(2);
    expect((areas[0] as number) * (areas[1] as number)).toBeLessThan(0);
  });

  test('lines part the pixels exactly into those that reach the level and those that do not', () => {
    const field = fc
      .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
      .chain(([width, height]) =>
        fc.record({
          width: fc.constant(width),
          height: fc.constant(height),
          values: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
            minLength: width * height,
            maxLength: width * height,
          }),
        }),
      );
    fc.assert(
      fc.property(field, ({ width, height, values }) => {
        // Away from the level itself, where a centre would lie on the line.
        const apart = values.map((value) => (value < 0.5 ? value * 0.9 : 0.55 + value * 0.4));
        const contours = findContours(apart, width, height, 0.5);
        apart.forEach((value, at) => {
          const found = inside(contours, (at % width) + 0.5, Math.floor(at / width) + 0.5 + 1e-9);
          if (found !== value >= 0.5) throw new Error(`pixel ${at} of ${width} x ${height}: ${value}`);
        });
        for (const contour of contours) expect(contour.every((n) => Number.isFinite(n) && n >= 0 && n <= 9)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('masks are cut between 0 and anything else; NaN and infinity give finite lines', () => {
    expect(maskContours({ data: Uint8Array.of(0, 3, 0), width: 3, height: 1 })).toHaveLength(1);
    const lines = findContours([NaN, Infinity, -Infinity, 1], 2, 2, 0.5);
    expect(lines.flat().every(Number.isFinite)).toBe(true);
    expect(() => findContours([1, 2], 3, 3, 0.5)).toThrow('a field of 3 x 3 values expected, found 2');
  });
});
