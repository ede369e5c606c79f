import { drawMap } from '../../cli/bench/drawn-maps';
import { connectedComponents } from '../../eval/metrics/connected-components';
import { PixelMetrics } from '../../eval/metrics/pixel-metrics';
import { runCrane } from './run-crane';

describe('drawn maps', () => {
  const side = 96;

  test('are the same for the same seed, and others for others', () => {
    expect(drawMap('a', side, 'ellipses')).toEqual(drawMap('a', side, 'ellipses'));
    expect(drawMap('a', side, 'ellipses').map).not.toEqual(drawMap('b', side, 'ellipses').map);
  });

  test('have scores of 0 or more, and find what the masks mark better than by chance', () => {
    const metrics = new PixelMetrics();
    let normal = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { map, mask } = drawMap(String(seed), side, 'ellipses');
      expect(map.every((score) => score >= 0 && Number.isFinite(score))).toBe(true);
      if (!mask.includes(1)) normal++;
      metrics.add(map, mask, side, side);
    }
    expect(normal).toBeGreaterThan(2);
    expect(normal).toBeLessThan(25);
    expect(metrics.value()['pixel/auroc']).toBeGreaterThan(0.7);
  });

  test('with specks have many small regions, and tell nothing', () => {
    const { map, mask } = drawMap('specks', side, 'specks');
    const { areas } = connectedComponents(mask, side, side);
    expect(areas.length).toBeGreaterThan(100);
    const metrics = new PixelMetrics();
    metrics.add(map, mask, side, side);
    expect(Math.abs((metrics.value()['pixel/auroc'] as number) - 0.5)).toBeLessThan(0.05);
  });
});

test('a number of maps that is none is refused', async () => {
  const { code, err } = await runCrane('bench', '--metrics', '--maps', '-1');
  expect(code).toBe(2);
  expect(err).toMatch(/--maps -1: expected a whole number, 0 or more/);
});
