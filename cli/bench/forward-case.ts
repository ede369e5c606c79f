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

/** One case as `--json` has it. Times are medians in seconds, memory is in 10^6 bytes, what cannot be measured is null. */
export type ForwardCase = ReturnType<typeof toCase>;

export function toCase({ planned, figures, products }: MeasuredCase, peakGflops: number) {
  const { backbone, imageSize, batch } = planned;
  const { flop, stages, secondsPerImage, endToEndSecondsPerImage, latencies, textSeconds } = figures;
  const gflopPerImage = flop.total / 1e9;
  const share = (seconds: number): number => gflopPerImage / seconds / peakGflops;
  return {
    model: backbone.name,
    /** Whether numbers were drawn for want of a file. */
    seeded: backbone.file === undefined,
    imageSize,
    batch,
    runs: figures.runs,
    /** The model alone, from network input to map and score; a batch's share. */
    secondsPerImage,
    /** What the method needs, in 10^9 operations; the sum over `stages`. */
    gflopPerImage,
    /** Counted as `crane benchmark` does: every block on every token. */
    gflopPerImageByDefinition: flop.byDefinition / 1e9,
    /** Of `peakGflops`. */
    shareOfPeak: share(secondsPerImage),
    imagesPerSecond: 1 / secondsPerImage,
    /** From a file to its saved heatmap, nothing beside it. */
    endToEndSecondsPerImage,
    endToEndShareOfPeak: share(endToEndSecondsPerImage),
    /** Files in a row, the next ones decoded meanwhile. */
    endToEndImagesPerSecond: figures.imagesPerSecondInARow,
    /** What all large products of an image take by themselves, each shape by its fastest way. */
    floorSeconds: products.reduce((sum, { count, seconds }) => sum + count * seconds, 0),
    peakRssMB: figures.peakRssBytes / 1e6,
    loadSeconds: figures.loadSeconds,
    firstResultSeconds: figures.firstResultSeconds,
    /** Of single images in an unending stream. */
    latency:
      latencies.length === 0
        ? null
        : { p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95), images: latencies.length },
    /** Of an image; `text` is what the text encoder takes once for all images, when the model is loaded, and in no sum. */
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
