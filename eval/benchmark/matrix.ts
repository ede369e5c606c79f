import * as path from 'node:path';
import type { Dataset } from '../../datasets/dataset';
import type { CraneOptions } from '../../lib/crane';
import { CraneError } from '../../lib/errors';
import type { OnProgress } from '../../lib/progress';
import { byRecipe } from '../recipe-options';
import { RECIPE_BACKBONE, type Recipe } from '../recipes';
import type { MatrixStudy } from './benchmark-results';
import { hashOfValue } from './canonical-json';
import type { BackboneFile, ModelInspector } from './model-files';
import { categoryKey, type RowRunner } from './row-runner';

/** Prompts to be trained. */
export interface TrainingRequest {
  /** Folder of the auxiliary set. */
  readonly auxiliary: string;
  /** Layout by which it was read. */
  readonly layout: string;
  readonly normalWithoutMask?: boolean | undefined;
  readonly model: CraneOptions;
  readonly epochs: number;
  readonly seed: number;
  /** Folder of the run: one that was stopped resumes there, one that is finished is used unchanged. */
  readonly folder: string;
  /** Folder where encoded images are kept for the next run. */
  readonly features: string;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Trains prompts. Passed in by the caller, since evaluation cannot import training. @returns their file */
export type TrainPrompts = (request: TrainingRequest) => Promise<string>;

export interface MatrixOptions {
  readonly recipes: readonly Recipe[];
  /** Each is trained on and scored. */
  readonly sets: readonly Dataset[];
  /** Options given explicitly. */
  readonly model: CraneOptions;
  /** Holds prompts in `prompts/` and the features that training resumes from in `features/`. */
  readonly out: string;
  readonly epochs: number;
  readonly seed: number;
  readonly train: TrainPrompts;
  /** As the sets were opened. */
  readonly normalWithoutMask?: boolean | undefined;
  /** Called after each cell, so that intermediate results can be saved. */
  readonly onCell?: (study: MatrixStudy) => void;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/**
 * Trains prompts on every set and scores every other set with them. This shows how much depends on the set that prompts
 * learn from, a question the paper leaves open. Trained prompts and scored categories are kept and reused.
 * @throws the signal's reason. Errors that concern a single set or pair are listed in `leftOut` instead
 */
export async function studyMatrix(
  {
    runner,
    inspector,
    backbone,
  }: { readonly runner: RowRunner; readonly inspector: ModelInspector; readonly backbone: BackboneFile },
  options: MatrixOptions,
): Promise<MatrixStudy> {
  const { recipes, sets, epochs, seed, signal, onCell } = options;
  const names = sets.map(({ name }) => name);
  const study = {
    auxiliaries: names,
    targets: names,
    cells: [] as MatrixStudy['cells'][number][],
    leftOut: [] as MatrixStudy['leftOut'][number][],
    epochs,
    seed,
  };
  const forRow = (error: unknown): CraneError => {
    if (signal?.aborted || !(error instanceof CraneError)) throw error;
    return error;
  };
  for (const recipe of recipes) {
    for (const auxiliary of sets) {
      const name = options.model.backbone ?? RECIPE_BACKBONE;
      const given = { ...byRecipe(recipe, auxiliary.name, backbone, withoutAccess(options.model)), backbone: name };
      const prompts = await trainedPrompts(recipe, auxiliary, given, { backbone, inspector, options }).catch(forRow);
      if (prompts instanceof Error) {
        study.leftOut.push({ recipe: recipe.name, auxiliary: auxiliary.name, target: null, message: prompts.message });
        continue;
      }
      for (const target of sets.filter((set) => set !== auxiliary)) {
        const title = `${recipe.name} ${auxiliary.name} > ${target.name}`;
        const scoring = {
          ...byRecipe(recipe, target.name, backbone, withoutAccess(options.model)),
          backbone: name,
          prompts,
        };
        const outcome = await runner.run({ title, dataset: target, options: scoring, pictures: false }).catch(forRow);
        if (outcome instanceof Error)
          study.leftOut.push({
            recipe: recipe.name,
            auxiliary: auxiliary.name,
            target: target.name,
            message: outcome.message,
          });
        else
          study.cells.push({
            recipe: recipe.name,
            auxiliary: auxiliary.name,
            target: target.name,
            mean: outcome.evaluation.mean,
          });
        onCell?.(study);
      }
    }
  }
  return study;
}

interface TrainingParts {
  readonly backbone: BackboneFile;
  readonly inspector: ModelInspector;
  readonly options: MatrixOptions;
}

/** A recipe's prompt file, trained now or in an earlier run: the folder's name encodes all that they depend on. */
async function trainedPrompts(
  recipe: Recipe,
  auxiliary: Dataset,
  given: CraneOptions,
  { backbone, inspector, options }: TrainingParts,
): Promise<string> {
  const { out, epochs, seed, train, normalWithoutMask, onProgress, signal } = options;
  const {
    prompts: _,
    batchSize,
    onProgress: __,
    signal: ___,
    backbone: name,
    spatial,
    backend,
    offline,
    referenceImages,
    ...model
  } = given;
  const weights = { backbone: backbone.sha256, network: backbone.network, spatial: await inspector.spatial(spatial) };
  const files = auxiliary.categories.map((category) => categoryKey(auxiliary, category).files);
  const key = hashOfValue({ weights, files, model, referenceImages: referenceImages ?? false, epochs, seed });
  return await train({
    auxiliary: auxiliary.root,
    layout: auxiliary.layout,
    normalWithoutMask,
    model: given,
    epochs,
    seed,
    folder: path.resolve(
      out,
      'prompts',
      `${recipe.name}-${auxiliary.name.replace(/[^\w.-]+/g, '_')}-${key.slice(0, 12)}`,
    ),
    features: path.resolve(out, 'features'),
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  });
}

function withoutAccess({ onProgress, signal, prompts, checkpoint, ...given }: CraneOptions): CraneOptions {
  return given;
}
