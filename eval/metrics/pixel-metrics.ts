import { MetricError } from '../../lib/errors';
import { ExactAupro, PaperAupro } from './aupro';
import { AurocSweep } from './auroc';
import { AveragePrecisionSweep } from './average-precision';
import { connectedComponents } from './connected-components';
import {
  precisionRecallCurve,
  PrecisionRecallSweep,
  proCurve,
  proSweep,
  rocCurve,
  rocSweep,
  type Curve,
} from './curves';
import { BestF1Sweep, type BestF1 } from './f1-max';
import { PIXEL_METRIC_IDS, type Measured, type MetricValues, type PixelMetricId } from './metric-ids';
import { chunkOf, widened, type MapPixels, type PixelChunk } from './pixel-chunk';
import { PixelRanking, type RankedPixels } from './pixel-ranking';
import { undefinedReason } from './ranking';
import { keyOfBits } from './score-keys';
import { SortedPixels } from './sorted-pixels';
import type { WidePixels } from './pixel-chunk';

/** False positive rate up to which AUPRO is integrated, as in the papers. */
const AUPRO_LIMIT = 0.3;

/** Pixels that are put into buckets together: enough to make the tables of a chunk small in comparison. */
const CHUNK_PIXELS = 1 << 22;

/**
 * Collects the anomaly maps of a category, or of a whole set, with their masks, and computes the pixel metrics of
 * docs/method.md#metrics exactly, from every pixel. Keeps 2 bytes per normal pixel and 4 per anomalous one (6 where
 * regions are tiny); computing takes a few megabytes more. Float64 maps whose scores float32 would round take 8 and 12,
 * and again as much to compute.
 */
export class PixelMetrics {
  private chunks: readonly PixelChunk[] = [];
  /** Maps that float32 would round. */
  private wide: readonly WidePixels[] = [];
  /** Maps not yet in a chunk. */
  private pending: MapPixels[] = [];
  private pendingPixels = 0;
  private leastKey = 0xffff_ffff;
  private largestKey = 0;
  private ranked: RankedPixels | undefined;
  private measured: Measures | undefined;
  private drawn: DrawnCurves | undefined;

  /**
   * @param map anomaly scores, finite where they count, larger is more anomalous; not kept. [height, width]
   * @param mask non-zero where anomalous; not kept. [height, width]
   * @param ignored non-zero where a pixel is excluded from counts and regions; not kept. Default: none. [height, width]
   * @throws MetricError when the sizes disagree or a score is NaN or infinite; the map is then not counted
   */
  add(map: Float32Array | Float64Array, mask: Uint8Array, width: number, height: number, ignored?: Uint8Array): void {
    if (map.length !== width * height || map.length === 0) {
      throw new MetricError(
        'metric/map-size',
        `an anomaly map of ${width} x ${height} needs ${width * height} scores, at least one; found ${map.length}`,
        { width, height, found: map.length },
      );
    }
    if (ignored !== undefined && ignored.length !== map.length) {
      throw new MetricError(
        'metric/mask-size',
        `ignored pixels of ${width} x ${height} need ${map.length} values, found ${ignored.length}`,
        { width, height, found: ignored.length },
      );
    }
    const { labels, areas } = connectedComponents(
      ignored === undefined ? mask : mask.map((value, at) => (ignored[at] === 0 ? value : 0)),
      width,
      height,
    );
    refuseNotFinite(map, ignored, width);
    const anomalousCount = areas.reduce((sum, area) => sum + area, 0);
    const ignoredCount = ignored === undefined ? 0 : ignored.reduce((sum, value) => sum + (value === 0 ? 0 : 1), 0);
    const pixels = { labels, areas, ignored, normalCount: map.length - anomalousCount - ignoredCount, anomalousCount };
    const narrow = asFloat32(map, ignored);
    if (narrow === undefined) this.addWide(map, pixels);
    else this.addNarrow(narrow, pixels);
  }

  private addNarrow(map: Float32Array, { labels, areas, ignored, normalCount, anomalousCount }: TruePixels): void {
    const bits = new Int32Array(map.buffer, map.byteOffset, map.length);
    const normal = new Uint32Array(normalCount);
    const anomalous = new Uint32Array(anomalousCount);
    const regions = new Uint32Array(anomalousCount);
    let { leastKey, largestKey } = this;
    for (let at = 0, toNormal = 0, toAnomalous = 0; at < bits.length; at++) {
      if (ignored !== undefined && ignored[at] !== 0) continue;
      const key = keyOfBits(bits[at] as number);
      if (key < leastKey) leastKey = key;
      if (key > largestKey) largestKey = key;
      const label = labels[at] as number;
      if (label === 0) {
        normal[toNormal++] = key;
      } else {
        anomalous[toAnomalous] = key;
        regions[toAnomalous++] = label - 1;
      }
    }
    this.forget();
    this.leastKey = leastKey;
    this.largestKey = largestKey;
    this.pending.push({ normal, anomalous, regions, areas });
    this.pendingPixels += map.length;
    if (this.pendingPixels >= CHUNK_PIXELS) this.packPending();
  }

  private addWide(
    map: Float32Array | Float64Array,
    { labels, areas, ignored, normalCount, anomalousCount }: TruePixels,
  ): void {
    const normal = new Float64Array(normalCount);
    const anomalous = new Float64Array(anomalousCount);
    const regions = new Uint32Array(anomalousCount);
    for (let at = 0, toNormal = 0, toAnomalous = 0; at < map.length; at++) {
      if (ignored !== undefined && ignored[at] !== 0) continue;
      const label = labels[at] as number;
      if (label === 0) {
        normal[toNormal++] = map[at] as number;
      } else {
        anomalous[toAnomalous] = map[at] as number;
        regions[toAnomalous++] = label - 1;
      }
    }
    this.forget();
    this.wide = [...this.wide, { normal, anomalous, regions, areas }];
  }

  /**
   * Adds everything that another has collected: the metrics of a whole set beside those of its categories, without
   * going through the maps again. The pixels are shared, not copied; what the other collects later is not included.
   */
  include(other: PixelMetrics): void {
    other.packPending();
    this.forget();
    this.chunks = [...this.chunks, ...other.chunks];
    this.wide = [...this.wide, ...other.wide];
    this.leastKey = Math.min(this.leastKey, other.leastKey);
    this.largestKey = Math.max(this.largestKey, other.largestKey);
  }

  /** Fractions; all null without anomalous or without normal pixels. */
  value(): MetricValues<PixelMetricId> {
    const { metrics } = this.measure();
    return Object.fromEntries(PIXEL_METRIC_IDS.map((id) => [id, metrics[id].value])) as MetricValues<PixelMetricId>;
  }

  /** For each metric that is null, why. */
  reasons(): Partial<Record<PixelMetricId, string>> {
    const { metrics } = this.measure();
    return Object.fromEntries(
      PIXEL_METRIC_IDS.flatMap((id) => {
        const metric = metrics[id];
        return metric.value === null ? [[id, metric.reason]] : [];
      }),
    );
  }

  /** The threshold with the best F1 on these pixels; null without anomalous or without normal pixels. */
  bestF1Threshold(): BestF1 | null {
    return this.measure().bestF1;
  }

  /** Null without anomalous or without normal pixels. */
  rocCurve(maxPoints?: number): Curve | null {
    return maxPoints === undefined ? this.drawnCurves().roc : this.ifDefined((ranking) => rocCurve(ranking, maxPoints));
  }

  /** Null without anomalous or without normal pixels. */
  precisionRecallCurve(maxPoints?: number): Curve | null {
    return maxPoints === undefined
      ? this.drawnCurves().precisionRecall
      : this.ifDefined((ranking) => precisionRecallCurve(ranking, maxPoints));
  }

  /** Null without anomalous or without normal pixels. */
  proCurve(maxPoints?: number): Curve | null {
    return maxPoints === undefined ? this.drawnCurves().pro : this.ifDefined((ranking) => proCurve(ranking, maxPoints));
  }

  /** The pixels collected so far, ranked, for computations outside this class. */
  ranking(): RankedPixels {
    // Pending maps stay pending: chunks of single maps would be mostly tables.
    const chunks = (): PixelChunk[] => [...this.chunks, ...(this.pending.length > 0 ? [chunkOf(this.pending)] : [])];
    // If float32 would round one map, all use float64, since all are ranked together.
    this.ranked ??=
      this.wide.length > 0
        ? new SortedPixels([...this.wide, ...chunks().map(widened)])
        : new PixelRanking(chunks(), this.leastKey, this.largestKey);
    return this.ranked;
  }

  private measure(): Measures {
    this.measured ??= measure(this.ranking());
    return this.measured;
  }

  /** Each run through the thresholds visits all pixels, so the three are computed together. */
  private drawnCurves(): DrawnCurves {
    this.drawn ??= this.ifDefined(drawCurves) ?? { roc: null, precisionRecall: null, pro: null };
    return this.drawn;
  }

  private ifDefined<Result>(compute: (ranking: RankedPixels) => Result): Result | null {
    const ranking = this.ranking();
    return undefinedReason(ranking, 'pixel') === undefined ? compute(ranking) : null;
  }

  private packPending(): void {
    if (this.pending.length > 0) this.chunks = [...this.chunks, chunkOf(this.pending)];
    this.pending = [];
    this.pendingPixels = 0;
  }

  private forget(): void {
    this.ranked = undefined;
    this.measured = undefined;
    this.drawn = undefined;
  }
}

interface Measures {
  readonly metrics: Readonly<Record<PixelMetricId, Measured>>;
  readonly bestF1: BestF1 | null;
}

/** All metrics in one run through the thresholds. */
function measure(ranking: RankedPixels): Measures {
  const reason = undefinedReason(ranking, 'pixel');
  if (reason !== undefined) {
    const metrics = Object.fromEntries(PIXEL_METRIC_IDS.map((id) => [id, { value: null, reason }]));
    return { metrics: metrics as unknown as Measures['metrics'], bestF1: null };
  }
  const auroc = new AurocSweep(ranking);
  const averagePrecision = new AveragePrecisionSweep(ranking);
  const f1 = new BestF1Sweep(ranking);
  const paper = new PaperAupro(ranking, AUPRO_LIMIT);
  const exact = new ExactAupro(ranking, AUPRO_LIMIT);
  ranking.forEachThreshold((threshold) => {
    auroc.at(threshold);
    averagePrecision.at(threshold);
    f1.at(threshold);
    paper.at(threshold);
    exact.at(threshold);
  });
  const bestF1 = f1.result();
  const metrics = {
    'pixel/auroc': { value: auroc.result() },
    'pixel/ap': { value: averagePrecision.result() },
    'pixel/f1max': { value: bestF1.f1 },
    'pixel/aupro/paper200@0.3': paper.result(),
    'pixel/aupro/exact@0.3': { value: exact.result() },
  };
  return { metrics, bestF1 };
}

interface DrawnCurves {
  readonly roc: Curve | null;
  readonly precisionRecall: Curve | null;
  readonly pro: Curve | null;
}

function drawCurves(ranking: RankedPixels): DrawnCurves {
  const roc = rocSweep(ranking);
  const precisionRecall = new PrecisionRecallSweep(ranking);
  const pro = proSweep(ranking);
  ranking.forEachThreshold((threshold) => {
    roc.at(threshold);
    precisionRecall.at(threshold);
    pro.at(threshold);
  });
  return { roc: roc.result(), precisionRecall: precisionRecall.result(), pro: pro.result() };
}

/** The mask's labels of a map's pixels. */
interface TruePixels {
  /** 0 for normal pixels, 1.. for the region of anomalous ones. */
  readonly labels: Uint32Array;
  readonly areas: Uint32Array;
  readonly ignored: Uint8Array | undefined;
  readonly normalCount: number;
  readonly anomalousCount: number;
}

/** The same scores as float32; undefined where that would round one. */
function asFloat32(map: Float32Array | Float64Array, ignored: Uint8Array | undefined): Float32Array | undefined {
  if (isFloat32(map)) return map;
  const rounded = Float32Array.from(map);
  return rounded.every((score, at) => score === map[at] || (ignored !== undefined && ignored[at] !== 0))
    ? rounded
    : undefined;
}

/** Checked by the width of its elements, since arrays from native code may belong to another realm. */
function isFloat32(map: Float32Array | Float64Array): map is Float32Array {
  return map.BYTES_PER_ELEMENT === 4;
}

function refuseNotFinite(map: Float32Array | Float64Array, ignored: Uint8Array | undefined, width: number): void {
  for (let at = 0; at < map.length; at++) {
    const score = map[at] as number;
    // Zero for all values except NaN and infinities.
    if (score - score === 0 || (ignored !== undefined && ignored[at] !== 0)) continue;
    throw new MetricError(
      'metric/not-finite',
      `the anomaly map holds ${score} at x ${at % width}, y ${Math.floor(at / width)}, which cannot be ranked; ` +
        'check the model and its weights',
      { score, x: at % width, y: Math.floor(at / width) },
    );
  }
}
