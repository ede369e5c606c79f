import { Document } from 'yaml';
import type { CommonOptions, Method } from '../lib/methods/method';
import { EMBEDDED_BACKBONE } from '../lib/methods/backbone';
import { DEFAULT_METHOD } from '../lib/methods/registry';
import { spatialSourceOf } from '../lib/methods/spatial';
import { completeTrainingOptions, learningOf, type TrainingOptions } from './options';
import type { TrainOptions } from './run-options';
import { openRunWeights, type RunWeights } from './run-weights';
import { shellWord } from '../terminal/shell-word';
import { SAVE_EVERY } from './training-loop';

/** A run's method, and the options that its weights completed. */
interface CompleteOptions {
  readonly method: Method;
  readonly options: CommonOptions;
  readonly training: TrainingOptions;
}

/**
 * All options of a run with their values, as YAML from which `crane train --config` repeats the run.
 * @throws UsageError for options that do not fit; WeightsError for files
 */
export async function configOf(options: TrainOptions): Promise<string> {
  const weights = await openRunWeights(options);
  weights.close();
  return configText(options, weights);
}

/** The options of a run as YAML, under the command's names for them. */
export function configText(options: TrainOptions, complete: CompleteOptions): string {
  const document = new Document({});
  document.commentBefore = ' Every option of this run, for: crane train --config FILE';
  for (const [name, value] of optionEntries(options, complete))
    document.set(name, document.createNode(value, { flow: true }));
  return document.toString({ flowCollectionPadding: false });
}

/**
 * The command that reproduces the same prompts: all options that differ from their defaults. Options that only say where
 * and how a run is stored are left out, so that equal runs give the same command wherever they are stored.
 */
export function commandOf(options: TrainOptions, weights: RunWeights): string {
  const { method, backbone } = weights;
  const { spatial } = weights.options;
  const usualModel = method.complete(spatial === undefined ? {} : { spatial }, backbone.sizes);
  const usualTraining = completeTrainingOptions({}, usualModel, method);
  const usual = new Map(optionEntries({}, { method, options: usualModel, training: usualTraining }));
  const words = optionEntries(
    { ...options, out: undefined, cache: undefined, saveEvery: undefined, saveFrequency: undefined },
    weights,
  )
    .filter(([name, value]) =>
      name === 'spatial' ? value !== 'none' : JSON.stringify(value) !== JSON.stringify(usual.get(name)),
    )
    .flatMap(([name, value]) =>
      typeof value === 'boolean' ? [`--${value ? '' : 'no-'}${name}`] : [`--${name}`, shellWord(String(value))],
    );
  return ['crane train', ...words].join(' ');
}

/** Options that may be left out or explicitly undefined. */
type Loose<T> = { readonly [K in keyof T]?: T[K] | undefined };

function optionEntries(
  options: Loose<TrainOptions>,
  { method, options: model, training }: CompleteOptions,
): (readonly [string, unknown])[] {
  const {
    auxiliary = [],
    categories,
    layout,
    normalWithoutMask,
    backbone = EMBEDDED_BACKBONE,
    prompts,
    checkpoint,
    activation,
    heads,
    spatial,
    out,
    cache,
  } = options;
  // An option that both model and training have is the model's on the command line.
  const trainingOptions = Object.entries(training).filter(([name]) => !Object.hasOwn(method.options.shape, name));
  const source = spatialSourceOf(spatial);
  const entries: readonly (readonly [string, unknown])[] = [
    ['aux', typeof auxiliary === 'string' ? [auxiliary] : auxiliary],
    ['categories', categories],
    ['layout', layout],
    ['normal-without-mask', normalWithoutMask],
    ['method', method.name === DEFAULT_METHOD ? undefined : method.name],
    ['backbone', backbone],
    ['prompts', prompts],
    ['checkpoint', checkpoint],
    ['activation', activation],
    ['heads', headsText(heads)],
    ['spatial', model.spatial],
    ['spatial-weights', source?.weights],
    ['spatial-heads', source?.heads],
    ...Object.entries(learningOf(method).said(model)),
    ...trainingOptions,
    ['out', out],
    ['save-every', options.saveEvery ?? SAVE_EVERY],
    ['save-frequency', options.saveFrequency ?? 1],
    ['cache', cache !== false],
    ['cache-size', typeof cache === 'object' ? cache.size?.toString() : undefined],
    ['precision', options.precision ?? 'float16'],
    ['backend', options.backend ?? 'auto'],
    ['reference-images', options.referenceImages ?? false],
  ];
  return entries.filter(([, value]) => value !== undefined).map(([name, value]) => [optionName(name), value]);
}

/** In the form of `--heads`. */
function headsText(heads: TrainOptions['heads']): string | undefined {
  if (heads === undefined) return undefined;
  return typeof heads === 'number' ? String(heads) : [heads.vision ?? '', heads.text ?? ''].join(',').replace(/,$/, '');
}

/** `imageSize` as `image-size`. */
function optionName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
