import type { CraneOptions } from '../lib/crane';
import { openBackbone, takesPublishedPrompts } from '../lib/methods/backbone';
import { weightAccess } from '../lib/weights/weight-cache';
import { RECIPE_BACKBONE, recipeOptions, type Recipe, type RecipeBackbone } from './recipes';

/**
 * Completes what was given by hand with what a recipe has for a set. Opens the backbone, since its depth decides which
 * layers are meant and its kind whether the published prompts fit.
 * @throws as opening the backbone does
 */
export async function completeByRecipe(recipe: Recipe, set: string, given: CraneOptions): Promise<CraneOptions> {
  const { activation, heads } = given;
  const name = given.backbone ?? RECIPE_BACKBONE;
  const backbone = await openBackbone(name, {
    ...(activation === undefined ? {} : { activation }),
    ...(heads === undefined ? {} : { heads }),
    ...weightAccess(given),
  });
  try {
    const network = { blocks: backbone.sizes.vision.layers, takesPublishedPrompts: takesPublishedPrompts(backbone) };
    return { ...byRecipe(recipe, set, network, given), backbone: name };
  } finally {
    backbone.close();
  }
}

/**
 * What a recipe has for a set, and over it what was given by hand. Weights of a second vision model that are given without
 * its kind are for the recipes that have one.
 */
export function byRecipe(recipe: Recipe, set: string, network: RecipeBackbone, given: CraneOptions): CraneOptions {
  const { spatial, ...rest } = given;
  const options: CraneOptions = { ...recipeOptions(recipe, set, network), ...rest };
  const weightsOnly = typeof spatial === 'object' && spatial.model === undefined;
  return spatial === undefined || (weightsOnly && options.spatial === 'none') ? options : { ...options, spatial };
}
