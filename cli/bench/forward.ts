import * as fs from 'node:fs';
import * as path from 'node:path';
import type { BackendChoice } from '../../lib/backend';
import { UsageError } from '../../lib/errors';
import { EMBEDDED_BACKBONE } from '../../lib/methods/backbone';
import { toCase, type MeasuredCase } from './forward-case';
import type { ForwardJob } from './forward-measurement';
import { planForward, type ForwardChoice, type PlannedBackbone, type PlannedCase } from './forward-plan';
import { caseText, summaryText } from './forward-tables';
import { measureInProcess } from './measuring-process';
import { steps, type BenchOptions } from './part';
import { drawPictures, TemporaryFolder, writeSeededBackbone, writeSeededPrompts } from './seeded-files';

export interface ForwardOptions extends ForwardChoice, Pick<BenchOptions, 'runs' | 'onProgress' | 'signal'> {
  readonly backend: BackendChoice;
  /** For a case, about. */
  readonly seconds: number;
  /** A picture of one's own to score, or the size of drawn ones such as `640x480`; by default 1024 x 1024. */
  readonly picture?: string | undefined;
  /** Told what people read, case by case. */
  readonly say: (text: string) => void;
}

const PICTURES = 4;
/** As many of MVTec-AD's are. */
const USUAL_PICTURE = '1024x1024';

/** `crane bench`: the forward pass, each case in a process of its own; what it found, as `--json` has it. */
export async function benchForward(options: ForwardOptions) {
  const { say, picture, backend, runs, seconds, signal } = options;
  const { cases, notes } = await planForward(options);
  notes.forEach((note) => say(`${note}\n`));
  const folder = new TemporaryFolder();
  try {
    const pictures = await picturesFor(picture, folder.path);
    const measured: MeasuredCase[] = [];
    let files: ReturnType<typeof seededFilesFor> | undefined;
    for await (const index of steps('cases', cases.length, options)) {
      const planned = cases[index] as PlannedCase;
      const { backbone, imageSize, batch } = planned;
      const last = measured.at(-1);
      if (files === undefined || last?.planned.backbone !== backbone) files = seededFilesFor(backbone, folder.path);
      // Products are measured for the first case of a model and size.
      const known =
        last?.planned.backbone === backbone && last.planned.imageSize === imageSize ? last.products : undefined;
      const job = { ...files, imageSize, batch, backend, runs, seconds, pictures, out: folder.path, products: !known };
      const figures = await measureInProcess(job, signal);
      const one = { planned, figures, products: known ?? figures.products };
      measured.push(one);
      say(`\n${caseText(toCase(one, peakOf(measured)), figures.products)}\n`);
    }
    const peakGflops = peakOf(measured);
    const found = measured.map((one) => toCase(one, peakGflops));
    say(`\n${summaryText(found, peakGflops)}\n`);
    const products = measured.filter(({ figures }) => figures.products.length > 0);
    return {
      /** The fastest matrix product of the run, at the measured models' own shapes: a median, in 10^9 operations a second. */
      peakGflops,
      /** Its fastest single run, of a few milliseconds. */
      bestGflops: Math.max(...products.flatMap(({ figures }) => figures.products.map(({ bestGflops }) => bestGflops))),
      cases: found,
      products: products.map(({ planned: { backbone, imageSize }, figures }) => {
        return { model: backbone.name, imageSize, products: figures.products };
      }),
      notes,
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

/** Weights and prompts to load; those that are not here are written in the place of those of the backbone before. */
function seededFilesFor({ file, sizes }: PlannedBackbone, folder: string): Pick<ForwardJob, 'backbone' | 'prompts'> {
  if (file === EMBEDDED_BACKBONE) return { backbone: file, prompts: undefined };
  const [seeded, prompts] = [path.join(folder, 'backbone.pt'), path.join(folder, 'prompts.safetensors')];
  fs.rmSync(seeded, { force: true });
  writeSeededPrompts(prompts, sizes);
  if (file === undefined) writeSeededBackbone(seeded, sizes);
  return { backbone: file === undefined ? seeded : path.resolve(file), prompts };
}

function peakOf(measured: readonly MeasuredCase[]): number {
  return Math.max(...measured.flatMap(({ figures }) => figures.products.map(({ gflops }) => gflops)));
}
