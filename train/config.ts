import { Document } from 'yaml';
import { completeModelOptions, type ModelOptions } from '../lib/config';
import { EMBEDDED_BACKBONE, openBackbone } from '../lib/methods/crane/backbone';
import { openPrompts, optionsOfPrompts, spatialOfPrompts } from '../lib/methods/crane/prompts';
import { openSpatial, spatialSourceOf } from '../lib/methods/crane/spatial';
import { completeTrainingOptions, type TrainingOptions } from './options';
import type { TrainOptions } from './run';
import { SAVE_EVERY } from './training-loop';

/** Model options that no option of the command names: training scores nothing. */
const NOT_ON_THE_COMMAND_LINE: readonly (keyof ModelOptions)[] = ['spatial', 'context', 'temperature'];
const DATTN: readonly (keyof ModelOptions)[] = ['spatialOnly', 'dattnBeta', 'dattnGamma', 'dattnMean'];

/**
 * All options of a run with their values, as YAML that `crane train --config` reads back to the same run.
 * @throws UsageError for options that do not fit; WeightsError for files
 */
export async function configOf(options: TrainOptions): Promise<string> {
  const access = options.offline === undefined ? {} : { offline: options.offline };
  const backbone = await openBackbone(options.backbone ?? EMBEDDED_BACKBONE, access);
  try {
    const start = options.prompts === undefined ? undefined : await openPrompts(options.prompts, access);
    const trained = start && spatialOfPrompts(start);
    const source = spatialSourceOf(options.spatial ?? trained?.weights ?? trained?.family);
    const spatial = source && (await openSpatial(source, access));
    spatial?.close();
    const family = spatial?.family ?? 'none';
    const inherited = start === undefined ? {} : optionsOfPrompts(start, backbone.sizes, family);
    const model = completeModelOptions({ ...inherited, ...options.model, spatial: family }, backbone.sizes);
    return configText(options, model, completeTrainingOptions(options.training ?? {}, model));
  } finally {
    backbone.close();
  }
}

/** The options of a run under the names that the command has for them. */
export function configText(options: TrainOptions, model: ModelOptions, training: TrainingOptions): string {
  const { auxiliary = [], categories, backbone = EMBEDDED_BACKBONE, prompts, spatial, out, cache } = options;
  const { pooling: _, ...trainingOptions } = training;
  const source = spatialSourceOf(spatial);
  const modelOptions = Object.entries(model).filter(([name]) => {
    const key = name as keyof ModelOptions;
    return !NOT_ON_THE_COMMAND_LINE.includes(key) && (model.spatial !== 'none' || !DATTN.includes(key));
  });
  const entries: readonly (readonly [string, unknown])[] = [
    ['aux', typeof auxiliary === 'string' ? [auxiliary] : auxiliary],
    ['categories', categories],
    ['backbone', backbone],
    ['prompts', prompts],
    ['spatial', model.spatial],
    ['spatial-weights', source?.weights],
    ['spatial-heads', source?.heads],
    ...modelOptions,
    ...Object.entries(trainingOptions),
    ['out', out],
    ['save-every', options.saveEvery ?? SAVE_EVERY],
    ['save-frequency', options.saveFrequency ?? 1],
    ['cache', cache !== false],
    ['cache-size', typeof cache === 'object' && cache.size !== undefined ? String(cache.size) : undefined],
    ['precision', options.precision ?? 'float16'],
    ['backend', options.backend ?? 'auto'],
    ['reference-images', options.referenceImages ?? false],
  ];
  const document = new Document(Object.fromEntries(entries.filter(([, value]) => value !== undefined).map(([name, value]) => [optionName(name), value])));
  document.commentBefore = ' Every option of this run, for: crane train --config FILE';
  // Lists on one line, as people write them.
  return document.toString({ collectionStyle: 'flow', flowCollectionPadding: false });
}

/** `imageSize` as `image-size`. */
function optionName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
