import { CLIP_VARIANTS } from '../lib/encoders/clip-sizes';
import type { Fusion } from '../lib/scoring/fusion';
import { methodNamed, type MethodName, type MethodOptionsInput } from '../lib/methods/registry';
import type { SpatialFamily } from '../lib/encoders/spatial-encoder';
import { UsageError } from '../lib/errors';
import { nearestName } from '../lib/nearest-name';
import { publishedPromptsBackbone } from '../lib/weights/registry';
import { isPaperSet, PAPER_SETS, type PublishedMethod, type PublishedSetName } from './published';

export const RECIPE_NAMES = ['crane', 'crane-plus', 'crane-plus-reproduce'] as const;
type PaperRecipeName = (typeof RECIPE_NAMES)[number];
/** A recipe of the paper, or another method, scored with its own defaults. */
export type RecipeName = PaperRecipeName | MethodName;

/**
 * How one set is scored: what the authors' scripts give their test program (docs/method.md#protocol,
 * docs/method.md#two-scripts).
 */
export interface RecipeRow {
  /** The auxiliary set of the prompts; never the set that is scored. */
  readonly auxiliary: 'mvtec' | 'visa';
  /**
   * Of the published checkpoint; those of Crane+ are named after the run that they were saved in otherwise
   * (docs/method.md#renamed-checkpoints).
   */
  readonly epoch: number;
  /** Blocks of the paper's 24. */
  readonly layers: readonly number[];
  readonly fusion: Fusion;
  readonly spatial: SpatialFamily | 'none';
}

/** How sets are scored: as the method is by default. */
export interface Recipe {
  readonly name: RecipeName;
  /** The column of the paper's table that it repeats. */
  readonly method: PublishedMethod;
  readonly about: string;
  /** The recipe that it is a variant of, for a column that two scripts of the authors give differently. */
  readonly variantOf: RecipeName | null;
}

/** How the paper's authors score its sets with Crane. */
export interface PaperRecipe extends Recipe {
  readonly rows: Readonly<Record<PublishedSetName, RecipeRow>>;
  /** Sets that are not the paper's are scored as its industrial ones. */
  readonly otherwise: RecipeRow;
}

/** The options that a recipe decides, in the form that `Crane.load` takes. */
export interface RecipeOptions extends Pick<MethodOptionsInput, 'layers' | 'fusion'> {
  readonly prompts?: string;
  readonly spatial?: SpatialFamily | 'none';
}

/** What a recipe must know of the backbone that it is used with. */
export interface RecipeBackbone {
  readonly blocks: number;
  /** Whether the published prompts are for this network. */
  readonly takesPublishedPrompts: boolean;
}

const CRANE: RecipeRow = { auxiliary: 'mvtec', epoch: 5, layers: [6, 12, 18, 24], fusion: 'soft', spatial: 'none' };
const PLUS: RecipeRow = { auxiliary: 'mvtec', epoch: 5, layers: [24], fusion: 'logit', spatial: 'dinov2' };
const PLUS_SOFT: RecipeRow = { ...PLUS, fusion: 'soft' };
const PLUS_MEDICAL: RecipeRow = { ...PLUS_SOFT, epoch: 1 };

/** Trained on MVTec-AD for every set but MVTec-AD itself (paper section 4; docs/method.md#protocol). */
const onVisa = (row: RecipeRow): RecipeRow => ({ ...row, auxiliary: 'visa' });

/** One row for each set; what differs from `usual` by name. */
function rows(usual: RecipeRow, differing: Partial<Record<PublishedSetName, RecipeRow>>): PaperRecipe['rows'] {
  return Object.fromEntries(PAPER_SETS.map((set) => [set, differing[set] ?? usual])) as Record<
    PublishedSetName,
    RecipeRow
  >;
}

const medical = (row: RecipeRow): Partial<Record<PublishedSetName, RecipeRow>> => ({
  headct: row,
  brainmri: row,
  br35h: row,
  isic: row,
  'cvc-colondb': row,
  'cvc-clinicdb': row,
  tn3k: row,
});

/**
 * The recipes behind the paper's table. For Crane+ the authors' two scripts disagree: `test.sh` fuses similarities
 * (`logit`) on industrial sets except DAGM, which matches the table better and is `crane-plus`; `reproduce.sh` averages
 * probabilities (`soft`) everywhere and scores DAGM with the VisA-trained prompts, which is `crane-plus-reproduce`
 * (docs/method.md#two-scripts).
 *
 * D-Attn's mean is taken per image, as everywhere here; `dattnMean: 'batch'` with batches of 8 is what the authors' runs had
 * (docs/method.md#batch-mean).
 */
export const RECIPES: Readonly<Record<PaperRecipeName, PaperRecipe>> = {
  crane: {
    name: 'crane',
    method: 'Crane',
    about: 'E-Attn alone, as the paper calls Crane',
    variantOf: null,
    rows: rows(CRANE, { mvtec: onVisa(CRANE) }),
    otherwise: CRANE,
  },
  'crane-plus': {
    name: 'crane-plus',
    method: 'Crane+',
    about: 'with D-Attn guided by DINOv2, as test.sh of the authors has it',
    variantOf: null,
    rows: rows(PLUS, { mvtec: onVisa(PLUS), dagm: PLUS_SOFT, ...medical(PLUS_MEDICAL) }),
    otherwise: PLUS,
  },
  'crane-plus-reproduce': {
    name: 'crane-plus-reproduce',
    method: 'Crane+',
    about: 'with D-Attn guided by DINOv2, as reproduce.sh of the authors has it',
    variantOf: 'crane-plus',
    rows: rows(PLUS_SOFT, { mvtec: onVisa(PLUS_SOFT), dagm: onVisa(PLUS_SOFT), ...medical(PLUS_MEDICAL) }),
    otherwise: PLUS_SOFT,
  },
};

/** A method as it is by default, beside the paper's column of its name. */
export function methodRecipe(name: MethodName): Recipe {
  const { title } = methodNamed(name);
  return { name, method: title as PublishedMethod, about: `${title} with its own defaults`, variantOf: null };
}

/** Whether a recipe has rows of its own for sets. */
export function isPaperRecipe(recipe: Recipe): recipe is PaperRecipe {
  return 'rows' in recipe;
}

/** The backbone of every recipe; another can be named by hand. */
export const RECIPE_BACKBONE = publishedPromptsBackbone;

/**
 * A recipe by name.
 * @throws UsageError that lists what there is
 */
export function recipeNamed(name: string): PaperRecipe {
  const wanted = RECIPE_NAMES.find((candidate) => candidate === name.trim().toLowerCase());
  if (wanted !== undefined) return RECIPES[wanted];
  const near = nearestName(name.trim().toLowerCase(), RECIPE_NAMES);
  throw new UsageError(
    'usage/recipe',
    `there is no recipe "${name}". Known: ${RECIPE_NAMES.join(', ')}.${near === undefined ? '' : ` Did you mean ${near}?`}`,
    { found: name, known: RECIPE_NAMES },
  );
}

/** How a recipe scores a set. */
export function recipeRow(recipe: PaperRecipe, set: string): RecipeRow {
  return isPaperSet(set) ? recipe.rows[set] : recipe.otherwise;
}

/** The registered name of the published prompts of a row, such as `crane-plus-mvtec@1`. */
export function publishedPromptsOf(recipe: PaperRecipe, row: RecipeRow): string {
  const family = recipe.method === 'Crane' ? 'crane' : 'crane-plus';
  return `${family}-${row.auxiliary}@${row.epoch}`;
}

/** Blocks of the paper's backbone, that rows name layers of. */
const PAPER_BLOCKS = (CLIP_VARIANTS[publishedPromptsBackbone] as { readonly vision: { readonly layers: number } })
  .vision.layers;

/**
 * The model options that a recipe has for a set. With a backbone that the published prompts do not fit, what remains of it
 * is how maps are fused, and from which part of the depth they are taken: the prompts are then the backbone's own, and a
 * second vision model the one that they were trained with.
 */
export function recipeOptions(
  recipe: Recipe,
  set: string,
  { blocks, takesPublishedPrompts }: RecipeBackbone,
): RecipeOptions {
  if (!isPaperRecipe(recipe)) return {};
  const row = recipeRow(recipe, set);
  const layers = [...new Set(row.layers.map((layer) => Math.max(1, Math.round((layer / PAPER_BLOCKS) * blocks))))];
  const common = { layers, fusion: row.fusion, ...(row.spatial === 'none' ? { spatial: row.spatial } : {}) };
  return takesPublishedPrompts ? { ...common, prompts: publishedPromptsOf(recipe, row), spatial: row.spatial } : common;
}
