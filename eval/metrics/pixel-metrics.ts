import { MetricError } from '../../lib/errors';
import { exactAupro, paperAupro, rankRegions, type RankedRegions } from './aupro';
import { auroc } from './auroc';
import { averagePrecision } from './average-precision';
import { connectedComponents } from './connected-components';
import { precisionRecallCurve, proCurve, rocCurve, type Curve } from './curves';
import { bestF1, type BestF1 } from './f1-max';
import { PIXEL_METRIC_IDS, type Measured, type MetricValues, type PixelMetricId } from './metric-ids';
import { scoresToKeys, sortKeys, sortPairs } from './radix-sort';
import { undefinedReason } from './ranking';

/** False positive rate up to which AUPRO is integrated, in the papers and here. */
const AUPRO_LIMIT = 0.3;

/**
 * Collects the anomaly maps of a category with their masks, and gives the pixel metrics of spec 2, exact on every
 * pixel. Keeps 4 bytes a normal pixel and 8 an anomalous one. Computing takes as much again while it sorts, and up to
 * 20 bytes an anomalous pixel.
 */
export class PixelMetrics {
  private normalKeys: Uint32Array[] = [];
  private anomalousKeys: Uint32Array[] = [];
  /** Region of each anomalous pixel, in step with `anomalousKeys`. */
  private regionsOfPixels: Uint32Array[] = [];
  private readonly areas: number[] = [];
  private ranked: RankedRegions | undefined;
  private measured: Readonly<Record<PixelMetricId, Measured>> | undefined;

  /**
   * @param map anomaly scores, finite, larger is more anomalous; not kept. [height, width]
   * @param mask non-zero where anomalous; not kept. [height, width]
   * @throws MetricError when the sizes disagree or a score is NaN or infinite; the map is then not counted
   */
  add(map: Float32Array, mask: Uint8Array, width: number, height: number): void {
    if (map.length !== width * height || map.length === 0) {
      throw new MetricError(
        'metric/map-size',
        `an anomaly map of ${width} x ${height} needs ${width * height} scores, at least one; found ${map.length}`,
        { width, height, found: map.length },
      );
    }
    const { labels, areas } = connectedComponents(mask, width, height);
    const keys = keysOfMap(map, width);
    const anomalousCount = areas.reduce((sum, area) => sum + area, 0);
    const normal = new Uint32Array(keys.length - anomalousCount);
    const anomalous = new Uint32Array(anomalousCount);
    const regions = new Uint32Array(anomalousCount);
    for (let at = 0, toNormal = 0, toAnomalous = 0; at < keys.length; at++) {
      const label = labels[at] as number;
      if (label === 0) {
        normal[toNormal++] = keys[at] as number;
      } else {
        anomalous[toAnomalous] = keys[at] as number;
        regions[toAnomalous++] = this.areas.length + label - 1;
      }
    }
    this.ranked = undefined;
    this.measured = undefined;
    this.normalKeys.push(normal);
    this.anomalousKeys.push(anomalous);
    this.regionsOfPixels.push(regions);
    for (const area of areas) this.areas.push(area);
  }

  /** Fractions; all null without anomalous or without normal pixels. */
  value(): MetricValues<PixelMetricId> {
    const measured = this.measure();
    return Object.fromEntries(PIXEL_METRIC_IDS.map((id) => [id, measured[id].value])) as MetricValues<PixelMetricId>;
  }

  /** Why metrics are null, for those that are. */
  reasons(): Partial<Record<PixelMetricId, string>> {
    const measured = this.measure();
    return Object.fromEntries(
      PIXEL_METRIC_IDS.flatMap((id) => {
        const metric = measured[id];
        return metric.value === null ? [[id, metric.reason]] : [];
      }),
    );
  }

  /** The threshold with the best F1 on these pixels; null without anomalous or without normal pixels. */
  bestF1Threshold(): BestF1 | null {
    return this.ifDefined(({ ranking }) => bestF1(ranking));
  }

  /** Null without anomalous or without normal pixels. */
  rocCurve(maxPoints?: number): Curve | null {
    return this.ifDefined(({ ranking }) => rocCurve(ranking, maxPoints));
  }

  /** Null without anomalous or without normal pixels. */
  precisionRecallCurve(maxPoints?: number): Curve | null {
    return this.ifDefined(({ ranking }) => precisionRecallCurve(ranking, maxPoints));
  }

  /** Null without anomalous or without normal pixels. */
  proCurve(maxPoints?: number): Curve | null {
    return this.ifDefined((ranked) => proCurve(ranked, maxPoints));
  }

  private measure(): Readonly<Record<PixelMetricId, Measured>> {
    this.measured ??= measureRanked(this.ranking());
    return this.measured;
  }

  /** Sorts what was collected; the sorted pixels then take the place of the collected ones. */
  private ranking(): RankedRegions {
    if (this.ranked) return this.ranked;
    const normal = sortKeys(joinAndRelease(this.normalKeys));
    const { keys: anomalous, values: regions } = sortPairs({
      keys: joinAndRelease(this.anomalousKeys),
      values: joinAndRelease(this.regionsOfPixels),
    });
    this.normalKeys = [normal];
    this.anomalousKeys = [anomalous];
    this.regionsOfPixels = [regions];
    this.ranked = rankRegions(normal, anomalous, regions, Uint32Array.from(this.areas));
    return this.ranked;
  }

  private ifDefined<Result>(compute: (ranked: RankedRegions) => Result): Result | null {
    const ranked = this.ranking();
    return undefinedReason(ranked.ranking, 'pixel') === undefined ? compute(ranked) : null;
  }
}

function measureRanked(ranked: RankedRegions): Readonly<Record<PixelMetricId, Measured>> {
  const { ranking } = ranked;
  const reason = undefinedReason(ranking, 'pixel');
  const measured = (compute: () => Measured | number): Measured => {
    if (reason !== undefined) return { value: null, reason };
    const result = compute();
    return typeof result === 'number' ? { value: result } : result;
  };
  return {
    'pixel/auroc': measured(() => auroc(ranking)),
    'pixel/ap': measured(() => averagePrecision(ranking)),
    'pixel/f1max': measured(() => bestF1(ranking).f1),
    'pixel/aupro/paper200@0.3': measured(() => paperAupro(ranked, AUPRO_LIMIT)),
    'pixel/aupro/exact@0.3': measured(() => exactAupro(ranked, AUPRO_LIMIT)),
  };
}

function keysOfMap(map: Float32Array, width: number): Uint32Array {
  const scores = new Float32Array(map.length);
  for (let at = 0; at < map.length; at++) {
    const score = map[at] as number;
    if (!Number.isFinite(score)) {
      throw new MetricError(
        'metric/not-finite',
        `the anomaly map holds ${score} at x ${at % width}, y ${Math.floor(at / width)}, which cannot be ranked; ` +
          'look at the model or its weights',
        { score, x: at % width, y: Math.floor(at / width) },
      );
    }
    scores[at] = score + 0; // -0 becomes 0, so that both are one score
  }
  const keys = new Uint32Array(scores.buffer);
  scoresToKeys(keys);
  return keys;
}

/** One array of all chunks; each is let go once copied, because together they can be hundreds of megabytes. */
function joinAndRelease(chunks: Uint32Array[]): Uint32Array {
  const joined = new Uint32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (let index = 0; index < chunks.length; index++) {
    joined.set(chunks[index] as Uint32Array, at);
    at += (chunks[index] as Uint32Array).length;
    chunks[index] = new Uint32Array(0);
  }
  return joined;
}
