import { methods } from '../lib/methods/registry';
import { shellWord } from './shell-word';

/** Options of the library's calls that the commands have by the same name, with dashes, besides those of methods; a test holds them
 * against the calls' types. */
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

/** Those of another name, and parts of options that are options of their own. */
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
 * A message of the library as the command line says it. The library writes options as `` `imageSize` `` and, with a value, as
 * `` `spatial: 'none'` ``; anything else stays as it is.
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

/** A value as it is typed: texts without quotes, lists with commas. */
function wordOf(value: string): string {
  if (/^'.*'$/.test(value)) return value.slice(1, -1);
  return value.startsWith('[') ? value.slice(1, -1).replaceAll(/,\s+/g, ',') : value;
}
