import { ImageMetrics } from './image-metrics';
import { IMAGE_METRIC_IDS, PIXEL_METRIC_IDS, type MetricId, type MetricValues } from './metric-ids';
import { PixelMetrics } from './pixel-metrics';

/** What is known about one image. */
export interface MeasuredImage {
  readonly anomalous: boolean;
  /** Any finite number; undefined where images have no scores. */
  readonly score: number | undefined;
  /** [height, width] */
  readonly map: { readonly data: Float32Array | Float64Array; readonly width: number; readonly height: number };
  /** 0 where normal, at the size of the map; null where unknown: the image then counts in image metrics only. */
  readonly mask: Uint8Array | null;
  /** Pixels other than 0 are excluded from all metrics. */
  readonly ignored?: Uint8Array | undefined;
}

/** Image and pixel metrics over the same images. */
export class Measures {
  readonly image = new ImageMetrics();
  readonly pixel = new PixelMetrics();
  images = 0;
  anomalous = 0;

  /** @param missing why image or pixel metrics are defined for no image, where that is so */
  constructor(private readonly missing: { readonly image?: string; readonly pixel?: string } = {}) {}

  /** @throws MetricError as `PixelMetrics.add` and `ImageMetrics.add`; after the former, the image counts nowhere */
  add({ anomalous, score, map, mask, ignored }: MeasuredImage): void {
    if (mask !== null && this.missing.pixel === undefined)
      this.pixel.add(map.data, mask, map.width, map.height, ignored);
    if (score !== undefined) this.image.add(score, anomalous);
    this.images++;
    if (anomalous) this.anomalous++;
  }

  /** Adds another's images. */
  include(other: Measures): void {
    this.pixel.include(other.pixel);
    this.image.include(other.image);
    this.images += other.images;
    this.anomalous += other.anomalous;
  }

  /** Fractions; null where a metric is not defined. */
  values(): MetricValues {
    return { ...this.image.value(), ...this.pixel.value() };
  }

  /** For each metric that is null, why. */
  reasons(): Partial<Record<MetricId, string>> {
    const all = (ids: readonly MetricId[], reason: string) => Object.fromEntries(ids.map((id) => [id, reason]));
    const { image, pixel } = this.missing;
    return {
      ...(image === undefined ? this.image.reasons() : all(IMAGE_METRIC_IDS, image)),
      ...(pixel === undefined ? this.pixel.reasons() : all(PIXEL_METRIC_IDS, pixel)),
    };
  }
}
