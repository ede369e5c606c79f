/**
 * Pixels kept by the bits of their scores. The upper half of a key says which of 65536 buckets a pixel is in; only the
 * lower half is stored, so that a normal pixel takes 2 bytes and an anomalous one 4.
 */

import { scoreOfKey } from './score-keys';

export const BUCKETS = 1 << 16;
export const BUCKET_SHIFT = 16;
export const LOW_BITS = BUCKETS - 1;

/** Pixels of one class, bucket by bucket. */
export interface Buckets {
  /** Lower halves of the keys. [pixels] */
  readonly lows: Uint16Array;
  /** Where each bucket begins; the last entry is the end. [BUCKETS + 1] */
  readonly starts: Uint32Array;
}

/** A few million pixels of whole maps. */
export interface PixelChunk {
  readonly normal: Buckets;
  readonly anomalous: Buckets;
  /** Region of each anomalous pixel, aligned with `anomalous.lows`. */
  readonly regions: Uint16Array | Uint32Array;
  /** Pixels of each region. [regions] */
  readonly areas: Uint32Array;
}

/** The pixels of one map, in their original order. */
export interface MapPixels {
  /** Keys of the normal pixels. */
  readonly normal: Uint32Array;
  /** Keys of the anomalous pixels. */
  readonly anomalous: Uint32Array;
  /** Region of each anomalous pixel, from 0. */
  readonly regions: Uint32Array;
  /** Pixels of each region. [regions] */
  readonly areas: Uint32Array;
}

/** Pixels of whole maps with float64 scores, where float32 would round some of them. */
export interface WidePixels {
  /** Scores of the normal pixels. */
  readonly normal: Float64Array;
  /** Scores of the anomalous pixels. */
  readonly anomalous: Float64Array;
  /** Region of each anomalous pixel, from 0. */
  readonly regions: Uint32Array;
  /** Pixels of each region. [regions] */
  readonly areas: Uint32Array;
}

/** The pixels of a chunk with their scores as float64, which represents each float32 exactly. */
export function widened({ normal, anomalous, regions, areas }: PixelChunk): WidePixels {
  return { normal: scoresOf(normal), anomalous: scoresOf(anomalous), regions: Uint32Array.from(regions), areas };
}

function scoresOf({ lows, starts }: Buckets): Float64Array {
  const scores = new Float64Array(lows.length);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const end = starts[bucket + 1] as number;
    for (let at = starts[bucket] as number; at < end; at++)
      scores[at] = scoreOfKey(bucket * BUCKETS + (lows[at] as number));
  }
  return scores;
}

/** Puts the pixels of several maps into buckets; regions are numbered consecutively. */
export function chunkOf(maps: readonly MapPixels[]): PixelChunk {
  const areas = new Uint32Array(maps.reduce((sum, map) => sum + map.areas.length, 0));
  const normal = emptyBuckets(maps.map((map) => map.normal));
  const anomalous = emptyBuckets(maps.map((map) => map.anomalous));
  const regions =
    areas.length <= BUCKETS ? new Uint16Array(anomalous.lows.length) : new Uint32Array(anomalous.lows.length);
  const nextNormal = normal.starts.slice();
  const nextAnomalous = anomalous.starts.slice();
  let regionsBefore = 0;
  for (const map of maps) {
    scatter(map.normal, normal.lows, nextNormal);
    scatterWithRegions(map, regionsBefore, anomalous.lows, regions, nextAnomalous);
    areas.set(map.areas, regionsBefore);
    regionsBefore += map.areas.length;
  }
  return { normal, anomalous, regions, areas };
}

/** Buckets of the right sizes. */
function emptyBuckets(keysOfMaps: readonly Uint32Array[]): Buckets {
  const starts = new Uint32Array(BUCKETS + 1);
  for (const keys of keysOfMaps) countBuckets(keys, starts);
  let start = 0;
  for (let bucket = 0; bucket <= BUCKETS; bucket++) {
    const count = starts[bucket] as number;
    starts[bucket] = start;
    start += count;
  }
  return { starts, lows: new Uint16Array(start) };
}

function countBuckets(keys: Uint32Array, counts: Uint32Array): void {
  for (let at = 0; at < keys.length; at++) counts[(keys[at] as number) >>> BUCKET_SHIFT]!++;
}

function scatter(keys: Uint32Array, lows: Uint16Array, next: Uint32Array): void {
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as number;
    lows[next[key >>> BUCKET_SHIFT]!++] = key;
  }
}

function scatterWithRegions(
  map: MapPixels,
  regionsBefore: number,
  lows: Uint16Array,
  regions: Uint16Array | Uint32Array,
  next: Uint32Array,
): void {
  const { anomalous: keys, regions: regionOf } = map;
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as number;
    const target = next[key >>> BUCKET_SHIFT]!++;
    lows[target] = key;
    regions[target] = regionsBefore + (regionOf[at] as number);
  }
}
