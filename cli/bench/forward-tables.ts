import { formatBytes } from '../../terminal/table';
import type { ForwardCase } from './forward-case';
import { tableOf } from './part';
import type { MeasuredProduct } from './peak';
import { STAGES, type Stage } from './stages';

const STAGE_NAMES: Readonly<Record<Stage, string>> = {
  decode: 'decode',
  resize: 'resize',
  patchEmbedding: 'patch embedding',
  attention: 'attention',
  mlp: 'MLP',
  projection: 'projection',
  text: 'text',
  scoring: 'scoring',
  gaussian: 'Gaussian',
  modelOther: 'rest of the model',
  heatmap: 'heatmap, saved',
  other: 'other',
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
  const row = (name: string, value: number | null, gflop: number): string[] => [
    name,
    value === null ? '-' : seconds(value),
    value === null ? '-' : percent(value / endToEndSecondsPerImage),
    gflop > 0 ? figure(gflop) : '-',
    gflop > 0 && value !== null ? rate(gflop / value) : '-',
  ];
  const { text } = stages;
  return tableOf(
    ['stage', 's/image', 'of time', 'GFLOP', 'GFLOP/s'],
    [
      ...STAGES.filter((stage) => stage !== 'text').map((stage) =>
        row(STAGE_NAMES[stage], stages[stage].seconds, stages[stage].gflop),
      ),
      null,
      row('model', secondsPerImage, gflopPerImage),
      row('file to heatmap', endToEndSecondsPerImage, gflopPerImage),
      ...(text.seconds === null
        ? []
        : [['text, once for all', seconds(text.seconds), '', figure(text.gflop), rate(text.gflop / text.seconds)]]),
    ],
  );
}

function productTable(products: readonly MeasuredProduct[], floorSeconds: number): string {
  const total = products.reduce((sum, { count, gflop }) => sum + count * gflop, 0);
  const rows = products.map(({ name, count, heads, rows, inner, columns, gflop, gflops, seconds: once }) => [
    name,
    `${count}${heads > 1 ? ` x ${heads}` : ''}`,
    `${rows} x ${inner} x ${columns}`,
    figure(count * gflop),
    seconds(count * once),
    rate(gflops),
  ]);
  return tableOf(
    ['products alone', 'times', 'shape', 'GFLOP', 's/image', 'GFLOP/s'],
    [...rows, null, ['all', '', '', figure(total), seconds(floorSeconds), rate(total / floorSeconds)]],
  );
}

/** All cases side by side. */
export function summaryText(cases: readonly ForwardCase[], peakGflops: number): string {
  const table = (titles: readonly string[], cells: (found: ForwardCase) => string[]): string =>
    tableOf(
      ['model', 'px', 'batch', ...titles],
      cases.map((found) => [
        found.seeded ? `${found.model} *` : found.model,
        String(found.imageSize),
        String(found.batch),
        ...cells(found),
      ]),
    );
  return [
    'The model, from network input to map and score',
    table(['GFLOP', 's/image', 'images/s', 'of peak'], (found) => [
      figure(found.gflopPerImage),
      seconds(found.secondsPerImage),
      rate(found.imagesPerSecond),
      percent(found.shareOfPeak),
    ]),
    'From a file to its saved heatmap: a batch by itself, and many files in a row',
    table(['s/image', 'of peak', 'files/s'], (found) => [
      seconds(found.endToEndSecondsPerImage),
      percent(found.endToEndShareOfPeak),
      found.endToEndImagesPerSecond === null ? '-' : rate(found.endToEndImagesPerSecond),
    ]),
    'Memory, start, and latency of single images in an unending stream, in seconds',
    table(['memory', 'load', 'first result', 'p50', 'p95'], (found) => [
      formatBytes(found.peakRssMB * 1e6),
      seconds(found.loadSeconds),
      seconds(found.firstResultSeconds),
      ...(found.latency ? [seconds(found.latency.p50), seconds(found.latency.p95)] : ['-', '-']),
    ]),
    [
      `Peak: ${rate(peakGflops)} GFLOP/s, the fastest matrix product at these shapes in this run.`,
      'Load: weights into tensors. First result: from the start of the process to a',
      'saved heatmap.',
      ...(cases.some(({ seeded }) => seeded)
        ? ['* random weights of the same shapes, because its file is not cached']
        : []),
    ].join('\n'),
  ].join('\n\n');
}

/** Three digits, as people write them. */
function seconds(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 0.1 ? value.toPrecision(3) : value.toFixed(4);
}

function figure(gflop: number): string {
  return gflop >= 100 ? gflop.toFixed(0) : gflop >= 0.01 ? gflop.toPrecision(3) : gflop.toFixed(4);
}

function rate(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`;
}
