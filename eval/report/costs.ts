import type { BenchmarkRow } from '../benchmark/benchmark-results';

/** The columns of the cost table. */
export const costColumns = [
  { title: 'recipe', numeric: false },
  { title: 'set', numeric: false },
  { title: 'images', numeric: true },
  { title: 'pixels', numeric: true },
  { title: 'images/s', numeric: true },
  { title: 'peak memory, MB', numeric: true },
  { title: 'parameters, million', numeric: true },
  { title: 'weights, MB', numeric: true },
  { title: 'GFLOP/image', numeric: true },
] as const;

/** In the order of `costColumns`. `pixels` is the side of the network's input. */
export function costRow({ recipe, title, images, model, cost }: BenchmarkRow): string[] {
  return [
    recipe,
    title,
    String(images),
    String(model.options.imageSize),
    cost.imagesPerSecond === null ? 'n/a' : threeFigures(cost.imagesPerSecond),
    (cost.peakMemoryBytes / 1e6).toFixed(0),
    threeFigures(cost.parameters / 1e6),
    threeFigures(cost.bytes / 1e6),
    threeFigures(cost.flop.total / 1e9),
  ];
}

/** At least three significant digits, and all digits of an integer. */
function threeFigures(value: number): string {
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}
