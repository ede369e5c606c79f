import { connectedComponents } from '../../../eval/metrics/connected-components';
import { seeded } from './random-cases';
import { slowRegions } from './slow-metrics';

function regionsOf(rows: readonly string[]): { labels: number[]; areas: number[] } {
  const mask = Uint8Array.from(rows.join(''), (character) => (character === '#' ? 255 : 0));
  const { labels, areas } = connectedComponents(mask, (rows[0] as string).length, rows.length);
  return { labels: [...labels], areas: [...areas] };
}

describe('connected components', () => {
  test('touch by corners, in all four directions', () => {
    expect(regionsOf(['#..', '.#.', '..#'])).toEqual({ labels: [1, 0, 0, 0, 1, 0, 0, 0, 1], areas: [3] });
    expect(regionsOf(['..#', '.#.', '#..']).areas).toEqual([3]);
  });

  test('do not wrap around the border', () => {
    expect(regionsOf(['#..#', '....', '#..#']).areas).toEqual([1, 1, 1, 1]);
    expect(regionsOf(['..#', '#..']).areas).toEqual([1, 1]);
  });

  test('join where two arms meet late', () => {
    expect(regionsOf(['#.#.#', '#.#.#', '#####']).areas).toEqual([11]);
    expect(regionsOf(['#...#', '.#.#.', '#.#.#']).areas).toEqual([7]);
    expect(regionsOf(['.###.', '#...#', '#.#.#', '#...#', '.###.']).areas).toEqual([12, 1]);
  });

  test('of nothing, of everything, of one pixel', () => {
    expect(regionsOf(['..', '..'])).toEqual({ labels: [0, 0, 0, 0], areas: [] });
    expect(regionsOf(['##', '##'])).toEqual({ labels: [1, 1, 1, 1], areas: [4] });
    expect(regionsOf(['#'])).toEqual({ labels: [1], areas: [1] });
  });

  test('equal a flood fill on 200 random masks', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seeded(seed);
      const [width, height] = [1 + Math.floor(random() * 16), 1 + Math.floor(random() * 16)];
      const density = random();
      const mask = Array.from({ length: width * height }, () => (random() < density ? 1 : 0));
      const { labels, areas } = connectedComponents(Uint8Array.from(mask), width, height);
      const want = new Array<number>(mask.length).fill(0);
      const regions = slowRegions({ mask, width, height });
      regions.forEach((region, index) => region.forEach((at) => (want[at] = index + 1)));
      expect([...labels]).toEqual(want);
      expect([...areas]).toEqual(regions.map((region) => region.length));
    }
  });

  test('refuse a mask of another size', () => {
    expect(() => connectedComponents(new Uint8Array(5), 2, 3)).toThrow(
      expect.objectContaining({ code: 'metric/mask-size' }),
    );
  });
});
