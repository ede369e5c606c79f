import { Random } from '../../datasets/synthetic/random';
import { resizeMap } from '../../lib/image/resize-map';

export interface DrawnMap {
  /** Scores from 0 up, most below 1. [side, side] */
  readonly map: Float32Array;
  /** 1 where anomalous. [side, side] */
  readonly mask: Uint8Array;
}

/** How masks look: filled ellipses as people draw them, or specks all over, which are many regions of few pixels. */
export type MaskKind = 'ellipses' | 'specks';

/** Of MVTec-AD's 1725 test images 1258 are anomalous. */
const ANOMALOUS_SHARE = 0.73;
const SPECK_SHARE = 0.3;

/** An anomaly map as a detector might give it, with its mask: smooth noise, brighter about defects, some of which it misses. */
export function drawMap(seed: string, side: number, kind: MaskKind): DrawnMap {
  const random = new Random(seed);
  const map = noise(random, Math.ceil(side / 24), side);
  const grain = noise(random, Math.ceil(side / 4), side);
  for (let at = 0; at < map.length; at++) map[at] = 0.4 * (map[at] as number) + 0.1 * (grain[at] as number);
  const mask = new Uint8Array(side * side);
  const defects = random.next() < ANOMALOUS_SHARE ? 1 + Math.floor(3 * random.next()) : 0;
  for (let defect = 0; defect < defects; defect++) drawDefect(map, mask, side, random);
  if (kind === 'specks') {
    for (let at = 0; at < mask.length; at++) mask[at] = random.next() < SPECK_SHARE ? 1 : 0;
  }
  return { map, mask };
}

function noise(random: Random, cells: number, side: number): Float32Array {
  const coarse = Float32Array.from({ length: cells * cells }, () => random.next());
  return resizeMap(coarse, cells, cells, side, side);
}

function drawDefect(map: Float32Array, mask: Uint8Array, side: number, random: Random): void {
  const [x0, y0] = [random.range(0, side), random.range(0, side)];
  const [across, down] = [random.range(0.01, 0.12) * side, random.range(0.01, 0.12) * side];
  const found = random.range(0, 0.5);
  const top = Math.max(0, Math.floor(y0 - 3 * down));
  const bottom = Math.min(side, Math.ceil(y0 + 3 * down));
  const left = Math.max(0, Math.floor(x0 - 3 * across));
  const right = Math.min(side, Math.ceil(x0 + 3 * across));
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const distance = ((x - x0) / across) ** 2 + ((y - y0) / down) ** 2;
      const at = y * side + x;
      map[at] = (map[at] as number) + found * Math.exp(-distance);
      if (distance < 1) mask[at] = 1;
    }
  }
}
