import fc from 'fast-check';
import { fillPolygon, fillRuns, unpackRuns } from '../../datasets/outlines';

type Canvas = { width: number; height: number; data: Uint8Array };

const canvas = (width: number, height: number): Canvas => ({ width, height, data: new Uint8Array(width * height) });

/** Rows of a mask as text, # for marked. */
function rows({ width, height, data }: Canvas): string[] {
  return Array.from({ length: height }, (_, row) =>
    [...data.subarray(row * width, (row + 1) * width)].map((value) => (value === 1 ? '#' : '.')).join(''),
  );
}

function filled(width: number, height: number, ...polygons: number[][]): string[] {
  const mask = canvas(width, height);
  polygons.forEach((points) => fillPolygon(mask, points));
  return rows(mask);
}

describe('a polygon', () => {
  test('marks the pixels whose centres lie inside', () => {
    // From x 1 to 3 and y 1 to 3: the centres at 1.5 and 2.5.
    expect(filled(4, 4, [1, 1, 3, 1, 3, 3, 1, 3])).toEqual(['....', '.##.', '.##.', '....']);
    // A right angle at (0, 0) with sides of 4: a centre is inside where x + y < 4, so 4, 3 … centres, less the one exactly on the edge.
    expect(filled(4, 4, [0, 0, 4, 0, 0, 4])).toEqual(['###.', '##..', '#...', '....']);
    // A diamond around (2, 2) of radius 1.6: |x - 2| + |y - 2| < 1.6 holds for the four centres beside it only.
    expect(filled(4, 4, [2, 0.4, 3.6, 2, 2, 3.6, 0.4, 2])).toEqual(['....', '.##.', '.##.', '....']);
  });

  test('has its left and upper edges, and not the others: neighbours share no pixel', () => {
    expect(filled(3, 1, [0.5, 0, 1.5, 0, 1.5, 1, 0.5, 1])).toEqual(['#..']);
    expect(filled(1, 3, [0, 0.5, 1, 0.5, 1, 1.5, 0, 1.5])).toEqual(['#', '.', '.']);
    expect(filled(1, 3, [0, 1.5, 1, 1.5, 1, 2.5, 0, 2.5])).toEqual(['.', '#', '.']);
  });

  test('is filled by the even-odd rule, whichever way it is drawn; several are joined', () => {
    // A square run around a smaller one in a single line: the inner one is a hole.
    const ring = [0, 0, 5, 0, 5, 5, 0, 5, 0, 0, 1, 1, 1, 4, 4, 4, 4, 1, 1, 1];
    const expected = ['#####', '#...#', '#...#', '#...#', '#####'];
    expect(filled(5, 5, ring)).toEqual(expected);
    const backwards = Array.from({ length: ring.length / 2 }, (_, at) =>
      ring.slice(ring.length - 2 * at - 2, ring.length - 2 * at),
    ).flat();
    expect(filled(5, 5, backwards)).toEqual(expected);
    expect(filled(3, 1, [0, 0, 1, 0, 1, 1, 0, 1], [2, 0, 3, 0, 3, 1, 2, 1], [0, 0, 1, 0, 1, 1, 0, 1])).toEqual(['#.#']);
  });

  test('is cut off at the border; one too thin for any centre marks the pixels of its corners', () => {
    expect(filled(3, 2, [-5, -5, 2, -5, 2, 9, -5, 9])).toEqual(['##.', '##.']);
    expect(filled(3, 2, [-1e300, 0, 1e300, 0, 1e300, 1, -1e300, 1])).toEqual(['###', '...']);
    expect(filled(4, 2, [0.1, 0.1, 2.2, 0.2, 0.1, 0.3])).toEqual(['#.#.', '....']);
    // Between two centres of each row.
    expect(filled(2, 2, [0.6, 0, 0.9, 0, 0.9, 2, 0.6, 2])).toEqual(['#.', '..']);
    expect(filled(2, 2, [5, 5, 6, 5, 6, 6])).toEqual(['..', '..']);
  });

  test('marks what a test of each centre against each edge marks', () => {
    // The other way to say it: a ray to the left crosses an odd number of edges.
    const inside = (points: readonly number[], x: number, y: number): boolean => {
      let odd = false;
      for (let at = 0; at < points.length; at += 2) {
        const [ax, ay, bx, by] = [
          points[at],
          points[at + 1],
          points[(at + 2) % points.length],
          points[(at + 3) % points.length],
        ] as [number, number, number, number];
        if (ay <= y !== by <= y && ax + ((y - ay) / (by - ay)) * (bx - ax) <= x) odd = !odd;
      }
      return odd;
    };
    const place = fc.integer({ min: -8, max: 40 }).map((value) => value / 4 + 1 / 16);
    fc.assert(
      fc.property(fc.array(fc.tuple(place, place), { minLength: 3, maxLength: 7 }), (corners) => {
        const points = corners.flat();
        const expected = Array.from({ length: 8 }, (_, row) =>
          Array.from({ length: 8 }, (__, column) => (inside(points, column + 0.5, row + 0.5) ? '#' : '.')).join(''),
        );
        fc.pre(expected.some((row) => row.includes('#')));
        expect(filled(8, 8, points)).toEqual(expected);
      }),
    );
  });
});

describe('runs', () => {
  test('go down the columns, unmarked first', () => {
    const mask = canvas(3, 2);
    fillRuns(mask, [1, 3, 2]);
    expect(rows(mask)).toEqual(['.#.', '##.']);
    const all = canvas(2, 2);
    fillRuns(all, [0, 4]);
    expect(rows(all)).toEqual(['##', '##']);
  });

  test('are unpacked from text by hand', () => {
    // 5 bits a character from "0" on: 1 is "1", 3 is "3"; 16 needs two, since its fifth bit is the sign: 16 + 32 + 48 = "`", then "0".
    expect(unpackRuns('132')).toEqual([1, 3, 2]);
    expect(unpackRuns('`0')).toEqual([16]);
    // The fourth is a difference to the second: 3 + 2, and -1 is 31 + 48 = "O".
    expect(unpackRuns('1322')).toEqual([1, 3, 2, 5]);
    expect(unpackRuns('132O')).toEqual([1, 3, 2, 2]);
    // 1000 = 31 * 32 + 8: "X" (8 + 32 + 48) and "o" (31 + 32 + 48 = "o"), then 0 for the sign.
    expect(unpackRuns('Xo0')).toEqual([1000]);
  });

  test("are what was packed, as COCO's own tools pack", () => {
    const pack = (counts: readonly number[]): string => {
      let text = '';
      counts.forEach((count, at) => {
        let value = at > 2 ? count - (counts[at - 2] as number) : count;
        for (let more = true; more;) {
          const part = value & 0x1f;
          value >>= 5;
          more = part & 0x10 ? value !== -1 : value !== 0;
          text += String.fromCharCode((more ? part | 0x20 : part) + 48);
        }
      });
      return text;
    };
    fc.assert(
      fc.property(fc.array(fc.nat(200_000_000), { maxLength: 9 }), (counts) => {
        expect(unpackRuns(pack(counts))).toEqual(counts);
      }),
    );
  });

  test.each([
    ['cut off', '1`'],
    ['a character that is none', '1 2'],
    ['above the last', '1~'],
    ['less than nothing', '132J'],
    ['without end', 'ooooooooooo0'],
  ])('%s is no list', (_, text) => {
    expect(unpackRuns(text)).toBeUndefined();
  });
});
