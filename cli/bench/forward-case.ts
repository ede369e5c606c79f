import type { PlannedCase } from './forward-plan';
import type { ProcessFigures } from './measuring-process';
import type { MeasuredProduct } from './peak';
import { perStage } from './stages';

export interface MeasuredCase {
  readonly planned: PlannedCase;
  readonly figures: ProcessFigures;
  /** Those of the first case of its model and size. */
  readonly products: readonly MeasuredProduct[];
}

/** One case as `--json` has it; docs/performance.md has its fields. Times are medians, what cannot be measured is null. */
export type ForwardCase = ReturnType<typeof toCase>;

export function toCase({ planned, figures, products }: MeasuredCase, peakGflops: number) {
  const { backbone, imageSize, batch } = planned;
  const { flop, stages, runs, secondsPerImage, endToEndSecondsPerImage, latencies, textSeconds } = figures;
  const gflopPerImage = flop.total / 1e9;
  const share = (seconds: number): number => gflopPerImage / seconds / peakGflops;
  return {
    model: backbone.name,
    seeded: backbone.file === undefined,
    imageSize,
    batch,
    runs,
    secondsPerImage,
    gflopPerImage,
    gflopPerImageByDefinition: flop.byDefinition / 1e9,
    shareOfPeak: share(secondsPerImage),
    imagesPerSecond: 1 / secondsPerImage,
    endToEndSecondsPerImage,
    endToEndShareOfPeak: share(endToEndSecondsPerImage),
    endToEndImagesPerSecond: figures.imagesPerSecondInARow,
    floorSeconds: products.reduce((sum, { count, seconds }) => sum + count * seconds, 0),
    peakRssMB: figures.peakRssBytes / 1e6,
    loadSeconds: figures.loadSeconds,
    firstResultSeconds: figures.firstResultSeconds,
    latency:
      latencies.length === 0
        ? null
        : { p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95), images: latencies.length },
    stages: perStage((stage) =>
      stage === 'text'
        ? { seconds: textSeconds, gflop: flop.text / 1e9 }
        : { seconds: stages?.[stage] ?? null, gflop: (flop.perImage[stage] ?? 0) / 1e9 },
    ),
  };
}

/** The least of ascending values that so large a share of them does not exceed. */
export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)] ?? NaN;
}
