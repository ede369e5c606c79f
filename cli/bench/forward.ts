import * as fs from 'node:fs';
import * as path from 'node:path';
import type { BackendChoice } from '../../lib/backend';
import { UsageError } from '../../lib/errors';
import { EMBEDDED_BACKBONE } from '../../lib/methods/backbone';
import type { ForwardJob } from './forward-measurement';
import { planForward, type ForwardChoice, type PlannedBackbone, type PlannedCase } from './forward-plan';
import { caseText, summaryText } from './forward-tables';
import { measureInProcess, type ProcessFigures } from './measuring-process';
import type { BenchOptions } from './part';
import type { MeasuredProduct } from './peak';
import { drawPictures, TemporaryFolder, writeSeededBackbone, writeSeededPrompts } from './seeded-files';
import { STAGES, type Stage } from './stages';

export interface ForwardOptions extends ForwardChoice, Pick<BenchOptions, 'runs' | 'onProgress' | 'signal'> {
  readonly backend: BackendChoice;
  /** For a case, about. */
  readonly seconds: number;
  /** A picture of one's own to score, or the size of drawn ones such as `640x480`; by default 1024 x 1024. */
  readonly picture?: string | undefined;
  /** Told what people read, case by case. */
  readonly say: (text: string) => void;
}

/** One case as `--json` has it. Times are medians in seconds, memory is in 10^6 bytes, what cannot be measured is null. */
export interface ForwardCase {
  readonly model: string;
  /** Whether numbers were drawn for want of a file. */
  readonly seeded: boolean;
  readonly imageSize: number;
  readonly batch: number;
  readonly runs: number;
  /** The model alone, from network input to map and score; a batch's share. */
  readonly secondsPerImage: number;
  /** What the method needs, in 10^9 operations; the sum over `stages`. */
  readonly gflopPerImage: number;
  /** Counted as `crane benchmark` does: every block on every token. */
  readonly gflopPerImageByDefinition: number;
  /** Of `peakGflops`. */
  readonly shareOfPeak: number;
  readonly imagesPerSecond: number;
  /** From a file to its saved heatmap, nothing beside it. */
  readonly endToEndSecondsPerImage: number;
  readonly endToEndShareOfPeak: number;
  /** Files in a row, the next ones decoded meanwhile. */
  readonly endToEndImagesPerSecond: number | null;
  /** What all large products of an image take by themselves, each shape by its fastest way. */
  readonly floorSeconds: number;
  readonly peakRssMB: number;
  readonly loadSeconds: number;
  readonly firstResultSeconds: number;
  /** Of single images in an unending stream. */
  readonly latency: { readonly p50: number; readonly p95: number; readonly images: number } | null;
  /** Seconds and 10^9 operations of an image, by stage; `text` is what the text encoder takes once for all images, when the model is loaded, and in no sum. */
  readonly stages: Readonly<Record<Stage, { readonly seconds: number | null; readonly gflop: number }>>;
}

/** Products of one model at one image size. */
export interface ProductFigures {
  readonly model: string;
  readonly imageSize: number;
  readonly products: readonly MeasuredProduct[];
}

export interface ForwardReport {
  /** The fastest matrix product of the run, at the measured models' own shapes: a median, in 10^9 operations a second. */
  readonly peakGflops: number;
  /** Its fastest single run, of a few milliseconds. */
  readonly bestGflops: number;
  readonly cases: readonly ForwardCase[];
  readonly products: readonly ProductFigures[];
  readonly notes: readonly string[];
}

const PICTURES = 4;
/** As many of MVTec-AD's are. */
const USUAL_PICTURE = '1024x1024';

/** `crane bench`: the forward pass, each case in a process of its own. */
export async function benchForward(options: ForwardOptions): Promise<ForwardReport> {
  const { onProgress, signal, say, picture } = options;
  const plan = await planForward(options);
  plan.notes.forEach((note) => say(`${note}\n`));
  const folder = new TemporaryFolder();
  try {
    const pictures = await picturesFor(picture, folder.path);
    const measured: MeasuredCase[] = [];
    const total = plan.cases.length;
    onProgress({ kind: 'start', task: 'cases', total, unit: 'steps' });
    let files: SeededFiles | undefined;
    for (const planned of plan.cases) {
      if (files?.backbone !== planned.backbone) {
        files?.remove();
        files = seededFilesFor(planned.backbone, folder.path);
      }
      const before = measured.find(
        ({ planned: { backbone, imageSize } }) => backbone === planned.backbone && imageSize === planned.imageSize,
      );
      const job = jobOf(planned, files, { ...options, pictures, out: folder.path, products: before === undefined });
      const figures = await measureInProcess(job, signal);
      measured.push({ planned, figures, products: before?.products ?? figures.products });
      say(`\n${caseText(toCase(measured.at(-1) as MeasuredCase, peakOf(measured)), figures.products)}\n`);
      onProgress({ kind: 'advance', task: 'cases', done: measured.length, total });
    }
    onProgress({ kind: 'done', task: 'cases' });
    const peakGflops = peakOf(measured);
    const cases = measured.map((one) => toCase(one, peakGflops));
    say(`\n${summaryText(cases, peakGflops)}\n`);
    const products = measured.filter(({ figures }) => figures.products.length > 0);
    return {
      peakGflops,
      bestGflops: Math.max(...products.flatMap(({ figures }) => figures.products.map(({ bestGflops }) => bestGflops))),
      cases,
      products: products.map(({ planned, figures }) => ({
        model: planned.backbone.name,
        imageSize: planned.imageSize,
        products: figures.products,
      })),
      notes: plan.notes,
    };
  } finally {
    folder.remove();
  }
}

/** @throws UsageError for a file that is not there */
async function picturesFor(picture: string = USUAL_PICTURE, folder: string): Promise<string[]> {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(picture) ?? [];
  if (Number(width) > 0 && Number(height) > 0) return drawPictures(folder, PICTURES, Number(width), Number(height));
  if (fs.statSync(picture, { throwIfNoEntry: false })?.isFile()) return [path.resolve(picture)];
  throw new UsageError('usage/picture', `--picture ${picture}: neither a file nor a size such as 640x480`, {
    found: picture,
  });
}

interface MeasuredCase {
  readonly planned: PlannedCase;
  readonly figures: ProcessFigures;
  /** Those of the first case of its model and size. */
  readonly products: readonly MeasuredProduct[];
}

/** Files that stand in for what is not here. */
interface SeededFiles {
  readonly backbone: PlannedBackbone;
  readonly weights: string;
  readonly prompts: string | undefined;
  remove(): void;
}

function seededFilesFor(backbone: PlannedBackbone, folder: string): SeededFiles {
  const own = backbone.file;
  if (own === EMBEDDED_BACKBONE) return { backbone, weights: own, prompts: undefined, remove: () => undefined };
  const prompts = path.join(folder, 'prompts.safetensors');
  writeSeededPrompts(prompts, backbone.sizes);
  if (own !== undefined) return { backbone, weights: path.resolve(own), prompts, remove: () => undefined };
  const weights = path.join(folder, 'backbone.pt');
  writeSeededBackbone(weights, backbone.sizes);
  return { backbone, weights, prompts, remove: () => fs.rmSync(weights, { force: true }) };
}

function jobOf(
  { imageSize, batch }: PlannedCase,
  { weights, prompts }: SeededFiles,
  rest: Pick<ForwardJob, 'backend' | 'runs' | 'seconds' | 'pictures' | 'out' | 'products'>,
): ForwardJob {
  const { backend, runs, seconds, pictures, out, products } = rest;
  return { backbone: weights, prompts, imageSize, batch, backend, runs, seconds, pictures, out, products };
}

function peakOf(measured: readonly MeasuredCase[]): number {
  return Math.max(...measured.flatMap(({ figures }) => figures.products.map(({ gflops }) => gflops)));
}

function toCase({ planned, figures, products }: MeasuredCase, peakGflops: number): ForwardCase {
  const { backbone, imageSize, batch } = planned;
  const { flop, stages, secondsPerImage, endToEndSecondsPerImage, latencies, textSeconds } = figures;
  const gflopPerImage = flop.total / 1e9;
  const share = (seconds: number): number => gflopPerImage / seconds / peakGflops;
  const perStage = STAGES.map(
    (stage) =>
      [
        stage,
        stage === 'text'
          ? { seconds: textSeconds, gflop: flop.text / 1e9 }
          : { seconds: stages?.[stage] ?? null, gflop: (flop.perImage[stage] ?? 0) / 1e9 },
      ] as const,
  );
  return {
    model: backbone.name,
    seeded: backbone.file === undefined,
    imageSize,
    batch,
    runs: figures.runs,
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
    stages: Object.fromEntries(perStage) as ForwardCase['stages'],
  };
}

/** The least of ascending values that so large a share of them does not exceed. */
export function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)] ?? NaN;
}
