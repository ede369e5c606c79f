import { Document } from 'yaml';
import { completeModelOptions, type ModelOptions } from '../lib/methods/crane/options';
import type { ClipSizes } from '../lib/encoders/clip-sizes';
import { EMBEDDED_BACKBONE } from '../lib/methods/backbone';
import { spatialSourceOf } from '../lib/methods/spatial';
import { completeTrainingOptions, type TrainingOptions } from './options';
import type { TrainOptions } from './run-options';
import { openRunWeights } from './run-weights';
import { shellWord } from '../terminal/shell-word';
import { SAVE_EVERY } from './training-loop';

/** Model options that no option of the command names: training scores nothing. */
const NOT_ON_THE_COMMAND_LINE: readonly (keyof ModelOptions)[] = ['spatial', 'context', 'temperature'];
const DATTN: readonly (keyof ModelOptions)[] = ['spatialOnly', 'dattnBeta', 'dattnGamma', 'dattnMean'];

/**
 * All options of a run with their values, as YAML that `crane train --config` reads back to the same run.
 * @throws UsageError for options that do not fit; WeightsError for files
 */
export async function configOf(options: TrainOptions): Promise<string> {
  const { model, training, close } = await openRunWeights(options);
  close();
  return configText(options, model, training);
}

/** The options of a run as YAML, under the names that the command has for them. */
export function configText(options: TrainOptions, model: ModelOptions, training: TrainingOptions): string {
  const document = new Document({});
  document.commentBefore = ' Every option of this run, for: crane train --config FILE';
  for (const [name, value] of optionEntries(options, model, training))
    document.set(name, document.createNode(value, { flow: true }));
  return document.toString({ flowCollectionPadding: false });
}

/**
 * The command that gives the same prompts again: the options that are not as they would be anyway. What only says where
 * and how a run is kept is left out, so that equal runs say the same wherever they lie.
 */
export function commandOf(
  options: TrainOptions,
  model: ModelOptions,
  training: TrainingOptions,
  sizes: ClipSizes,
): string {
  const usualModel = completeModelOptions({ spatial: model.spatial }, sizes);
  const usual = new Map(optionEntries({}, usualModel, completeTrainingOptions({}, usualModel)));
  const words = optionEntries(
    { ...options, out: undefined, cache: undefined, saveEvery: undefined, saveFrequency: undefined },
    model,
    training,
  )
    .filter(([name, value]) =>
      name === 'spatial' ? value !== 'none' : JSON.stringify(value) !== JSON.stringify(usual.get(name)),
    )
    .flatMap(([name, value]) =>
      typeof value === 'boolean' ? [`--${value ? '' : 'no-'}${name}`] : [`--${name}`, shellWord(String(value))],
    );
  return ['crane train', ...words].join(' ');
}

/** Options that may be left out, also by saying that they are undefined. */
type Loose<T> = { readonly [K in keyof T]?: T[K] | undefined };

function optionEntries(
  options: Loose<TrainOptions>,
  model: ModelOptions,
  training: TrainingOptions,
): (readonly [string, unknown])[] {
  const {
    auxiliary = [],
    categories,
    layout,
    normalWithoutMask,
    backbone = EMBEDDED_BACKBONE,
    prompts,
    activation,
    heads,
    spatial,
    out,
    cache,
  } = options;
  const { pooling: _, ...trainingOptions } = training;
  const source = spatialSourceOf(spatial);
  const modelOptions = Object.entries(model).filter(([name]) => {
    const key = name as keyof ModelOptions;
    return !NOT_ON_THE_COMMAND_LINE.includes(key) && (model.spatial !== 'none' || !DATTN.includes(key));
  });
  const entries: readonly (readonly [string, unknown])[] = [
    ['aux', typeof auxiliary === 'string' ? [auxiliary] : auxiliary],
    ['categories', categories],
    ['layout', layout],
    ['normal-without-mask', normalWithoutMask],
    ['backbone', backbone],
    ['prompts', prompts],
    ['activation', activation],
    ['heads', headsText(heads)],
    ['spatial', model.spatial],
    ['spatial-weights', source?.weights],
    ['spatial-heads', source?.heads],
    ...modelOptions,
    ...Object.entries(trainingOptions),
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

/** As `--heads` takes them. */
function headsText(heads: TrainOptions['heads']): string | undefined {
  if (heads === undefined) return undefined;
  return typeof heads === 'number' ? String(heads) : [heads.vision ?? '', heads.text ?? ''].join(',').replace(/,$/, '');
}

/** `imageSize` as `image-size`. */
function optionName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
