import { formatBytes } from '../../terminal/table';
import type { ForwardCase } from './forward-case';
import { tableOf } from './part';
import type { MeasuredProduct } from './peak';
import { STAGES, type Stage } from './stages';

/** Where a stage is called otherwise than in the JSON. */
const STAGE_NAMES: Partial<Readonly<Record<Stage, string>>> = {
  patchEmbedding: 'patch embedding',
  mlp: 'MLP',
  gaussian: 'Gaussian',
  modelOther: 'rest of the model',
  heatmap: 'heatmap, saved',
};

/** What one case found: the stages of an image, and, where they were measured, the products. */
export function caseText(found: ForwardCase, products: readonly MeasuredProduct[]): string {
  const { model, imageSize, batch, seeded, runs } = found;
  const title = `${model}, ${imageSize} px, batch ${batch}${seeded ? ', seeded numbers' : ''}; medians of ${runs} ${runs === 1 ? 'run' : 'runs'}`;
  const parts = [title, stageTable(found)];
  if (products.length > 0) parts.push(productTable(products, found.floorSeconds));
  return parts.join('\n\n');
}

function stageTable({ stages, endToEndSecondsPerImage, secondsPerImage, gflopPerImage }: ForwardCase): string {
  const row = (name: string, seconds: number | null, gflop: number): string[] => [
    name,
    digits(seconds),
    percent(seconds === null ? null : seconds / endToEndSecondsPerImage),
    digits(gflop > 0 ? gflop : null),
    digits(gflop > 0 && seconds !== null ? gflop / seconds : null),
  ];
  const text = row('text, once for all', stages.text.seconds, stages.text.gflop);
  return tableOf(
    ['stage', 's/image', 'of time', 'GFLOP', 'GFLOP/s'],
    [
      ...STAGES.filter((stage) => stage !== 'text').map((stage) =>
        row(STAGE_NAMES[stage] ?? stage, stages[stage].seconds, stages[stage].gflop),
      ),
      null,
      row('model', secondsPerImage, gflopPerImage),
      row('file to heatmap', endToEndSecondsPerImage, gflopPerImage),
      ...(stages.text.seconds === null ? [] : [text.with(2, '')]),
    ],
  );
}

function productTable(products: readonly MeasuredProduct[], floorSeconds: number): string {
  const total = products.reduce((sum, { count, gflop }) => sum + count * gflop, 0);
  const rows = products.map(({ name, count, heads, rows, inner, columns, gflop, gflops, seconds }) => [
    name,
    `${count}${heads > 1 ? ` x ${heads}` : ''}`,
    `${rows} x ${inner} x ${columns}`,
    ...[count * gflop, count * seconds, gflops].map(digits),
  ]);
  return tableOf(
    ['products alone', 'times', 'shape', 'GFLOP', 's/image', 'GFLOP/s'],
    [...rows, null, ['all', '', '', ...[total, floorSeconds, total / floorSeconds].map(digits)]],
  );
}

/** What stands in the summary's tables, under their titles. */
const SUMMARY: Readonly<Record<string, Readonly<Record<string, (found: ForwardCase) => string>>>> = {
  'The model, from network input to map and score': {
    GFLOP: ({ gflopPerImage }) => digits(gflopPerImage),
    's/image': ({ secondsPerImage }) => digits(secondsPerImage),
    'images/s': ({ imagesPerSecond }) => digits(imagesPerSecond),
    'of peak': ({ shareOfPeak }) => percent(shareOfPeak),
  },
  'From a file to its saved heatmap: a batch by itself, and many files in a row': {
    's/image': ({ endToEndSecondsPerImage }) => digits(endToEndSecondsPerImage),
    'of peak': ({ endToEndShareOfPeak }) => percent(endToEndShareOfPeak),
    'files/s': ({ endToEndImagesPerSecond }) => digits(endToEndImagesPerSecond),
  },
  'Memory, start, and latency of single images in an unending stream, in seconds': {
    memory: ({ peakRssMB }) => formatBytes(peakRssMB * 1e6),
    load: ({ loadSeconds }) => digits(loadSeconds),
    'first result': ({ firstResultSeconds }) => digits(firstResultSeconds),
    p50: ({ latency }) => digits(latency && latency.p50),
    p95: ({ latency }) => digits(latency && latency.p95),
  },
};

/** All cases side by side. */
export function summaryText(cases: readonly ForwardCase[], peakGflops: number): string {
  const tables = Object.entries(SUMMARY).flatMap(([heading, columns]) => [
    heading,
    tableOf(
      ['model', 'px', 'batch', ...Object.keys(columns)],
      cases.map((found) => [
        found.seeded ? `${found.model} *` : found.model,
        ...[found.imageSize, found.batch].map(String),
        ...Object.values(columns).map((cell) => cell(found)),
      ]),
    ),
  ]);
  const notes = [
    `Peak: ${digits(peakGflops)} GFLOP/s, the fastest matrix product at these shapes in this run.`,
    'Load: weights into tensors. First result: from the start of the process to a',
    'saved heatmap.',
    ...(cases.some(({ seeded }) => seeded)
      ? ['* random weights of the same shapes, because its file is not cached']
      : []),
  ];
  return [...tables, notes.join('\n')].join('\n\n');
}

/** Three digits, as people write them. */
function digits(value: number | null): string {
  if (value === null) return '-';
  return value >= 100 ? value.toFixed(0) : value >= 0.1 ? value.toPrecision(3) : value.toFixed(4);
}

function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`;
}
