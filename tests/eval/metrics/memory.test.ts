import * as v8 from 'node:v8';
import * as vm from 'node:vm';
import { PixelMetrics } from '../../../eval/metrics/pixel-metrics';

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc') as () => void;

/** Bytes of typed arrays that are still held. */
function held(): number {
  // The second call frees what the first one found to be unused.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

// Chunks are made of some 4 million pixels, so that these make four.
const [side, maps] = [2100, 4];
const pixels = maps * side * side;

test.each([
  ['2 bytes of a normal pixel, float32', 2, 0, Float32Array, 0],
  ['4 bytes of an anomalous pixel, float32', 4, 1, Float32Array, 0],
  ['8 bytes of a normal pixel of float64', 8, 0, Float64Array, 1e-12],
] as const)(
  'keeps no more than %s',
  (_, bytes, inside, Scores, offset) => {
    const mask = new Uint8Array(side * side).fill(inside);
    const map = new Scores(side * side);
    for (let at = 0; at < map.length; at++) map[at] = (at % 4096) / 4096 + offset;
    const before = held();
    const metrics = new PixelMetrics();
    for (let index = 0; index < maps; index++) metrics.add(map, mask, side, side);
    expect((held() - before) / pixels).toBeLessThan(bytes + 0.5);
    expect(metrics.ranking().normals + metrics.ranking().anomalous).toBe(pixels);
  },
  300_000,
);
