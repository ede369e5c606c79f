import { captionsFor } from '../../datasets/synthetic/captions';
import { defectKinds } from '../../datasets/synthetic/defects';
import { drawPair } from '../../datasets/synthetic/draw';
import { pretrainingFamilies } from '../../datasets/synthetic/families';
import { Random } from '../../datasets/synthetic/random';
import { AS_DRAWN, coverageOfPatches, drawLooks, placeView, renderView, sampleMask, type View } from './augmentation';
import { phaseAt, poolWindow, stageAt, type Phase, type Recipe } from './recipe';

/** An image without a defect, the same object with one, and its mask. */
export interface PicturePair {
  readonly family: string;
  readonly defect: string;
  readonly clean: Uint8Array; // [size, size, 3]
  readonly damaged: Uint8Array; // [size, size, 3]
  readonly mask: Uint8Array; // [size, size], 0 or 1
}

/** Generates pair number `index` of a run, always with the same bytes. Only seen kinds, no target families. */
export function drawPoolPair(recipe: Recipe, index: number): PicturePair {
  const random = new Random(`${recipe.seed}/pair/${index}`);
  const family = random.pick(pretrainingFamilies).name;
  const defect = random.pick(defectKinds.seen);
  const { clean, damaged } = drawPair({
    family,
    defect,
    seed: `pretraining/${recipe.seed}/${index}`,
    size: recipe.drawnSize,
  });
  return { family, defect, clean: clean.pixels, damaged: damaged.pixels, mask: damaged.mask };
}

/** One image of a batch, before its pixels are generated. */
interface PlannedImage {
  readonly pair: number;
  readonly damaged: boolean;
  /** Name of the random stream of its view, shared by both images of a pair. */
  readonly stream: string;
  /** Whether the view is placed near the defect. */
  readonly near: boolean;
}

export interface BatchImages {
  readonly phase: Phase;
  readonly images: Float32Array; // [B, size, size, 3], normalised
  readonly coverage: Float32Array; // [B, N], share of each patch that is defect
  /** Index into `pretrainingFamilies`, and into the seen kinds of defects. */
  readonly families: Int32Array; // [B]
  readonly defects: Int32Array; // [B]
}

/** Three quarters of a batch are pairs of a view without and with the defect; the rest are single views. */
function planBatch(recipe: Recipe, step: number, { batch }: Phase): readonly PlannedImage[] {
  const random = new Random(`${recipe.seed}/batch/${step}`);
  const [from, to] = poolWindow(recipe, step);
  // New images are used more often, so that each is certain to be seen while it is in the pool.
  const anyPair = (): number =>
    random.chance(0.3)
      ? random.integer(Math.max(from, to - 4 * recipe.pairsPerBatch), to - 1)
      : random.integer(from, to - 1);
  const images: PlannedImage[] = [];
  const pairs = Math.floor((batch * 3) / 8);
  for (let index = 0; images.length < batch; index++) {
    const pair = anyPair();
    const stream = `${recipe.seed}/view/${step}/${index}`;
    const near = random.chance(0.8);
    if (index < pairs) images.push({ pair, damaged: false, stream, near }, { pair, damaged: true, stream, near });
    else images.push({ pair, damaged: random.chance(0.5), stream, near: false });
  }
  return images;
}

/**
 * Makes batch `step` from the pairs that `pairAt` returns for the indices in its pool window. The result depends only
 * on the recipe and the step, not on earlier batches.
 */
export function makeBatch(
  recipe: Recipe,
  step: number,
  patchSize: number,
  pairAt: (index: number) => PicturePair,
): BatchImages {
  const phase = phaseAt(recipe, step);
  const { size, batch } = phase;
  const { asDrawn } = stageAt(recipe, step);
  const grid = size / patchSize;
  const images = new Float32Array(batch * size * size * 3);
  const coverage = new Float32Array(batch * grid * grid);
  const families = new Int32Array(batch);
  const defects = new Int32Array(batch);
  planBatch(recipe, step, phase).forEach((planned, index) => {
    const pair = pairAt(planned.pair);
    const random = new Random(planned.stream);
    const view: View = placeView(pair.mask, recipe.drawnSize, phase, planned.near, random);
    const photographed = drawLooks(random);
    const looks = random.chance(asDrawn) ? AS_DRAWN : photographed;
    renderView(
      planned.damaged ? pair.damaged : pair.clean,
      recipe.drawnSize,
      view,
      looks,
      images.subarray(index * size * size * 3, (index + 1) * size * size * 3),
    );
    if (planned.damaged) {
      coverageOfPatches(
        sampleMask(pair.mask, recipe.drawnSize, view),
        size,
        patchSize,
        coverage.subarray(index * grid * grid, (index + 1) * grid * grid),
      );
    }
    families[index] = familyIndex.get(pair.family) as number;
    defects[index] = defectKinds.seen.indexOf(pair.defect);
  });
  return { phase, images, coverage, families, defects };
}

const familyIndex: ReadonlyMap<string, number> = new Map(pretrainingFamilies.map(({ name }, index) => [name, index]));

/** How much of the defect a view shows. Views with only a sliver of it are neither normal nor damaged. */
export type Condition = 'normal' | 'damaged' | 'unclear';

/** The least defect, in patches, for a view to be called damaged: an eighth of one. */
const SHOWN = 1 / 8;

/** The condition of each view, from the defect's share of its patches. */
export function conditionsOf({ coverage, families }: Pick<BatchImages, 'coverage' | 'families'>): Condition[] {
  const patches = coverage.length / families.length;
  return Array.from(families, (_, image) => {
    let sum = 0;
    for (let at = image * patches; at < (image + 1) * patches; at++) sum += coverage[at] as number;
    return sum >= SHOWN ? 'damaged' : sum < 0.02 ? 'normal' : 'unclear';
  });
}

export interface BatchCaptions {
  /** One true caption for each captioned image. */
  readonly captions: readonly string[];
  /** 1 where the caption of column j is true of the image of row i, although it belongs to another image. */
  readonly alsoTrue: Float32Array; // [C, C]
}

/** Generates captions for the first images of a batch, and marks which are true of other images too. */
export function captionBatch(
  recipe: Recipe,
  step: number,
  batch: BatchImages,
  conditions: readonly Condition[],
): BatchCaptions {
  const random = new Random(`${recipe.seed}/captions/${step}`);
  const truths = conditions
    .slice(0, recipe.captionedImages)
    .map((condition, image) =>
      trueCaptions(batch.families[image] as number, condition === 'normal' ? -1 : (batch.defects[image] as number)),
    );
  const captions = truths.map((set) => {
    const all = [...set];
    const half = all.length / 2;
    return random.pick(random.chance(0.25) ? all.slice(half) : all.slice(0, half));
  });
  const count = captions.length;
  const alsoTrue = new Float32Array(count * count);
  truths.forEach((set, row) => {
    captions.forEach((caption, column) => {
      if (row !== column && set.has(caption)) alsoTrue[row * count + column] = 1;
    });
  });
  return { captions, alsoTrue };
}

const captionSets = new Map<string, ReadonlySet<string>>();

function trueCaptions(family: number, defect: number): ReadonlySet<string> {
  const key = `${family}/${defect}`;
  let found = captionSets.get(key);
  if (!found) {
    const name = pretrainingFamilies[family]?.name as string;
    found = new Set(captionsFor({ family: name, defect: defect < 0 ? null : (defectKinds.seen[defect] as string) }));
    captionSets.set(key, found);
  }
  return found;
}
