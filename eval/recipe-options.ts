import type { CraneOptions } from '../lib/crane';
import { openBackbone } from '../lib/methods/crane/backbone';
import { takesPublishedPrompts } from '../lib/methods/crane/prompts';
import { RECIPE_BACKBONE, recipeOptions, type Recipe } from './recipes';

/**
 * Completes what was given by hand with what a recipe has for a set. Opens the backbone, since its depth decides which
 * layers are meant and its kind whether the published prompts fit.
 * @throws as opening the backbone does
 */
export async function completeByRecipe(recipe: Recipe, set: string, given: CraneOptions): Promise<CraneOptions> {
  const { offline, onProgress, signal } = given;
  const name = given.backbone ?? RECIPE_BACKBONE;
  const backbone = await openBackbone(name, {
    ...(offline === undefined ? {} : { offline }),
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  });
  try {
    const network = { blocks: backbone.sizes.vision.layers, takesPublishedPrompts: takesPublishedPrompts(backbone) };
    return { ...recipeOptions(recipe, set, network), ...given, backbone: name };
  } finally {
    backbone.close();
  }
}
