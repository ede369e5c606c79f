import { methods } from '../lib/methods/registry';
import { shellWord } from './shell-word';

/**
 * Library options that commands have under the same name, with dashes, besides those of methods; a test checks them
 * against the calls' types.
 */
export const SAME_NAMES = [
  'backbone',
  'method',
  'prompts',
  'checkpoint',
  'className',
  'spatial',
  'backend',
  'batchSize',
  'seed',
  'offline',
  'allowPrivateUrls',
  'referenceImages',
  'categories',
  'epochs',
  'learningRate',
  'betas',
  'contextProbability',
  'pixelWeight',
  'imageWeight',
  'imageTemperature',
  'pixelTemperature',
  'interpolation',
  'contextTokens',
  'deepTokens',
  'depth',
  'portion',
  'kShot',
  'mosaicRate',
  'roundGradients',
  'validate',
  'out',
  'resume',
  'overwrite',
  'saveEvery',
  'saveFrequency',
  'cache',
  'precision',
  'keepArchives',
  'acceptLicense',
  'allowIncomplete',
  'referenceMeans',
  'normalWithoutMask',
  'layout',
  'activation',
  'heads',
  'resize',
  'wholeSet',
] as const;

/** Options with a different flag, and parts of options that have a separate flag. */
export const OTHER_NAMES: Readonly<Record<string, string>> = {
  auxiliary: 'aux',
  'spatial.weights': 'spatial-weights',
  'spatial.heads': 'spatial-heads',
  'cache.size': 'cache-size',
  scores: 'scores',
  ignoring: 'ignore-value',
};

const FLAGS: ReadonlyMap<string, string> = new Map([
  ...[...SAME_NAMES, ...methods.flatMap(({ options }) => Object.keys(options.shape))].map(
    (name) => [name, dashed(name)] as const,
  ),
  ...Object.entries(OTHER_NAMES),
]);

/**
 * Translates a library message for the command line. The library writes options as `` `imageSize` `` and, with a value,
 * as `` `spatial: 'none'` ``; anything else is unchanged.
 */
export function asFlags(message: string): string {
  return message.replaceAll(/`([a-z][A-Za-z.]*)(?:: ([^`]*))?`/g, (whole, name: string, value: string | undefined) => {
    const flag = FLAGS.get(name);
    if (flag === undefined) return whole;
    if (value === undefined || value === 'true') return `--${flag}`;
    return value === 'false' ? `--no-${flag}` : `--${flag} ${shellWord(wordOf(value))}`;
  });
}

/** `imageSize` as `image-size`. */
export function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A value as typed on the command line: strings without quotes, lists with commas. */
function wordOf(value: string): string {
  if (/^'.*'$/.test(value)) return value.slice(1, -1);
  return value.startsWith('[') ? value.slice(1, -1).replaceAll(/,\s+/g, ',') : value;
}
