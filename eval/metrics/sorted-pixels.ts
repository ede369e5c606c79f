import { CompensatedSum } from './compensated-sum';
import type { WidePixels } from './pixel-chunk';
import type { PixelThreshold, RankedPixels } from './pixel-ranking';

/**
 * Pixels ranked by sorting their float64 scores, for maps that float32 would round. Keys are the scores themselves.
 * Takes 8 bytes per normal pixel and 16 per anomalous one, in addition to its input.
 */
export class SortedPixels implements RankedPixels {
  readonly normals: number;
  readonly anomalous: number;
  readonly least: number;
  readonly largest: number;
  /** Ascending. [normals] */
  private readonly normalScores: Float64Array;
  /** The distinct scores of anomalous pixels, ascending. */
  private readonly scores: Float64Array;
  /** Anomalous pixels of each score. */
  private readonly counts: Uint32Array;
  /** For each score, the sum of the anomalous pixels' shares of their regions. */
  private readonly shares: Float64Array;
  private readonly regions: number;

  constructor(parts: readonly WidePixels[]) {
    this.normalScores = joined(parts.map(({ normal }) => normal)).sort();
    const anomalous = joined(parts.map(({ anomalous: scores }) => scores)).sort();
    this.normals = this.normalScores.length;
    this.anomalous = anomalous.length;
    this.regions = parts.reduce((sum, { areas }) => sum + areas.length, 0);
    this.least = Math.min(this.normalScores[0] ?? Infinity, anomalous[0] ?? Infinity);
    this.largest = Math.max(this.normalScores.at(-1) ?? -Infinity, anomalous.at(-1) ?? -Infinity);
    this.scores = anomalous.filter((score, at) => score !== anomalous[at - 1]);
    this.counts = new Uint32Array(this.scores.length);
    this.shares = new Float64Array(this.scores.length);
    for (const { anomalous: scores, regions, areas } of parts) {
      for (let at = 0; at < scores.length; at++) {
        const index = countBelow(this.scores, scores[at] as number);
        this.counts[index]!++;
        this.shares[index]! += 1 / (areas[regions[at] as number] as number);
      }
    }
  }

  forEachThreshold(visit: (threshold: PixelThreshold) => void): void {
    const threshold = { key: 0, truePositives: 0, falsePositives: 0, normalsAbove: 0, overlap: 0 };
    const shares = new CompensatedSum();
    let next = this.normals - 1;
    for (let index = this.scores.length - 1; index >= 0; index--) {
      const score = this.scores[index] as number;
      while (next >= 0 && (this.normalScores[next] as number) > score) next--;
      threshold.normalsAbove = this.normals - 1 - next;
      while (next >= 0 && this.normalScores[next] === score) next--;
      threshold.falsePositives = this.normals - 1 - next;
      threshold.truePositives += this.counts[index] as number;
      shares.add(this.shares[index] as number);
      threshold.overlap = threshold.truePositives === this.anomalous ? 1 : shares.value / this.regions;
      threshold.key = score;
      visit(threshold);
    }
  }

  scoreOfKey(key: number): number {
    return key;
  }

  keyOfThreshold(score: number): number {
    return score;
  }

  normalsAbove(keys: readonly number[]): number[] {
    return keys.map((key) => this.normals - countBelow(this.normalScores, key, true));
  }
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** How many of these ascending values are below (or at) a given one. */
function countBelow(ascending: Float64Array, value: number, orAt = false): number {
  let [from, to] = [0, ascending.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const found = ascending[middle] as number;
    if (found < value || (orAt && found === value)) from = middle + 1;
    else to = middle;
  }
  return from;
}
