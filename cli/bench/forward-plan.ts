import * as fs from 'node:fs';
import * as path from 'node:path';
import { CLIP_VARIANTS, type ClipSizes } from '../../lib/encoders/clip-sizes';
import { UsageError } from '../../lib/errors';
import { EMBEDDED_BACKBONE, embeddedFile } from '../../lib/methods/backbone';
import { openClipWeights } from '../../lib/weights/clip-weights';
import { findRegisteredWeights, registeredWeightsOf } from '../../lib/weights/registry';
import { cachedWeightsPath, isCached } from '../../lib/weights/weight-cache';

/** What `crane bench` measures where nothing else is asked for. */
const USUAL_BACKBONES = [EMBEDDED_BACKBONE, 'ViT-B/16', 'ViT-L/14@336px'] as const;
const USUAL = { imageSizes: [336, 518], batches: [1, 4, 8] } as const;
/** With `--quick`: the paper's size alone, image by image. */
const QUICK = { imageSizes: [518], batches: [1] } as const;

export interface ForwardChoice {
  /** Names or paths; without any, the usual ones. */
  readonly backbones?: readonly string[] | undefined;
  readonly imageSizes?: readonly number[] | undefined;
  readonly batches?: readonly number[] | undefined;
  readonly quick: boolean;
}

export interface PlannedBackbone {
  /** As it was asked for; of a file, its name. */
  readonly name: string;
  /** A file or folder, or `nano`; undefined where none is here and numbers are drawn. */
  readonly file: string | undefined;
  readonly sizes: ClipSizes;
}

export interface PlannedCase {
  readonly backbone: PlannedBackbone;
  readonly imageSize: number;
  readonly batch: number;
}

export interface ForwardPlan {
  readonly cases: readonly PlannedCase[];
  /** What a reader has to know, such as an image size that had to be another. */
  readonly notes: readonly string[];
}

/**
 * Which cases to measure: each backbone at each image size in batches of each size, the smallest network first. Nothing is
 * downloaded; of a registered network whose file is not here, its shapes serve.
 * @throws UsageError for an unknown name, WeightsError for a file that is not a CLIP
 */
export async function planForward({
  backbones = USUAL_BACKBONES,
  imageSizes,
  batches,
  quick,
}: ForwardChoice): Promise<ForwardPlan> {
  const defaults = quick ? QUICK : USUAL;
  const cases: PlannedCase[] = [];
  const notes: string[] = [];
  for (const name of new Set(backbones)) {
    const backbone = await backboneOf(name);
    if (backbone.file === undefined)
      notes.push(
        `${backbone.name}: its file is not cached, so random weights of the same shapes are measured (a temporary file).`,
      );
    const { gridSize, patchSize } = backbone.sizes.vision;
    const usual = name === EMBEDDED_BACKBONE ? [gridSize * patchSize] : defaults.imageSizes;
    const fitting = new Set((imageSizes ?? usual).map((side) => fittingSize(side, backbone, notes)));
    for (const imageSize of fitting) {
      for (const batch of new Set(batches ?? defaults.batches)) cases.push({ backbone, imageSize, batch });
    }
  }
  return { cases, notes };
}

/** The multiple of the patch size that is nearest from below. */
function fittingSize(asked: number, { name, sizes }: PlannedBackbone, notes: string[]): number {
  const { patchSize } = sizes.vision;
  const side = Math.max(1, Math.floor(asked / patchSize)) * patchSize;
  if (side !== asked)
    notes.push(`${name}: ${asked} px is not a multiple of its patches of ${patchSize} px; measured at ${side} px.`);
  return side;
}

async function backboneOf(name: string): Promise<PlannedBackbone> {
  if (name === EMBEDDED_BACKBONE) return { name, file: name, sizes: await sizesOf(embeddedFile('nano.safetensors')) };
  const entry = findRegisteredWeights(name);
  // A registered name wins over a file that happens to be called alike, as everywhere.
  if (entry === undefined && fs.existsSync(name))
    return { name: path.basename(name), file: name, sizes: await sizesOf(name) };
  const known = registeredWeightsOf(name, 'backbone');
  const cached = cachedWeightsPath(known);
  if (isCached(known)) return { name: known.name, file: cached, sizes: await sizesOf(cached) };
  const sizes = CLIP_VARIANTS[known.name];
  if (sizes === undefined)
    throw new UsageError('usage/backbone', `${known.name}: its shapes are not known without its file; give a path`, {
      name,
    });
  return { name: known.name, file: undefined, sizes };
}

async function sizesOf(file: string): Promise<ClipSizes> {
  const weights = await openClipWeights(file);
  weights.close();
  return weights.sizes;
}
