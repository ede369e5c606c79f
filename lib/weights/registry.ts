import { UsageError } from '../errors';
import type { SpatialFamily } from '../encoders/spatial-encoder';
import type { RegisteredWeights, WeightsKind } from './registered-weights';
import { PAPERS_CHOICE, spatialFiles } from './spatial-files';

function openaiClip(name: string, file: string, sha256: string, bytes: number, about: string): RegisteredWeights {
  const url = `https://openaipublic.azureedge.net/clip/models/${sha256}/${file}`;
  return { name, kind: 'backbone', url, file, sha256, bytes, about, licence: 'MIT (OpenAI CLIP)', trainedOn: null };
}

/** The official files of OpenAI; their addresses carry the sha256. */
const backbones: readonly RegisteredWeights[] = [
  openaiClip(
    'ViT-L/14@336px',
    'ViT-L-14-336px.pt',
    '3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02',
    934_088_680,
    'OpenAI CLIP, the backbone of the published checkpoints',
  ),
  openaiClip(
    'ViT-L/14',
    'ViT-L-14.pt',
    'b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836',
    932_768_134,
    'OpenAI CLIP',
  ),
  openaiClip(
    'ViT-B/16',
    'ViT-B-16.pt',
    '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f',
    350_837_078,
    'OpenAI CLIP',
  ),
  openaiClip(
    'ViT-B/32',
    'ViT-B-32.pt',
    '40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af',
    353_976_522,
    'OpenAI CLIP',
  ),
];

/** The published prompts fit this backbone and no other. */
export const publishedPromptsBackbone = 'ViT-L/14@336px';

/** Commit of the reference repository that the checkpoints were read at. */
const craneCommit = '39181f9';
const lastEpoch = 5;

/** sha256 and length, computed from the files themselves; the other fifteen were not available. */
const knownCheckpoints: Readonly<Record<string, readonly [sha256: string, bytes: number]>> = {
  'mvtec_crane/5': ['dc9bf1584c8abd8744f39e9607fdea8a04c8d30aa147de595d22bf444488e4c8', 576_693],
  'mvtec_cranep/1': ['233cc4e623716f1aa26ebe374dd11aa7d77205266a52902837857c5a0fdc9e21', 576_693],
  'mvtec_cranep/5': ['9163f13a9c0a75ac63de16239b850cf70d366b5591b083bea2c0c41e76beed53', 577_159],
  'visa_crane/5': ['66d070e3b72b61704495bdadd0f8c4979b62a23ca7211cfe08bd08ec7c0ab831', 576_693],
  'visa_cranep/5': ['732c7d1b76745950c56b0f9846f46f297619dcbb1db69a61e7b8fa5609ac10ab', 577_159],
};

/**
 * Epoch of the longer run that a Crane+ file was saved in: the published numbers are not it
 * (docs/method.md#renamed-checkpoints).
 */
const epochOfLongerRun: Readonly<Record<string, readonly number[]>> = {
  mvtec_cranep: [4, 5, 6, 7, 12],
  visa_cranep: [1, 2, 4, 5, 12],
};

/** As the authors' scripts train (docs/method.md#two-scripts). */
const CRANE = { spatial: 'none' } as const;
const CRANE_PLUS = { spatial: 'dinov2', layers: [24] } as const;

function publishedPrompts(
  prefix: string,
  folder: string,
  title: string,
  trainedOn: string,
  epoch: number,
): RegisteredWeights {
  const [sha256, bytes] = knownCheckpoints[`${folder}/${epoch}`] ?? [null, null];
  const saved = epochOfLongerRun[folder]?.[epoch - 1];
  return {
    name: epoch === lastEpoch ? prefix : `${prefix}@${epoch}`,
    kind: 'prompts',
    url: `https://raw.githubusercontent.com/AlirezaSalehy/Crane/${craneCommit}/checkpoints/trained_on_${folder}/epoch_${epoch}.pth`,
    file: `${prefix}-epoch-${epoch}.pth`,
    sha256,
    bytes,
    about: `${title}, epoch ${epoch}${saved === undefined || saved === epoch ? '' : ` (saved in epoch ${saved} of a longer run)`}`,
    licence: 'MIT (AlirezaSalehy/Crane)',
    trainedOn,
    trainedWith: prefix.startsWith('crane-plus') ? CRANE_PLUS : CRANE,
  };
}

const promptFamilies = [
  ['crane-visa', 'visa_crane', 'Crane trained on VisA', 'visa'],
  ['crane-mvtec', 'mvtec_crane', 'Crane trained on MVTec-AD', 'mvtec'],
  ['crane-plus-visa', 'visa_cranep', 'Crane+ trained on VisA', 'visa'],
  ['crane-plus-mvtec', 'mvtec_cranep', 'Crane+ trained on MVTec-AD', 'mvtec'],
] as const;

const prompts: readonly RegisteredWeights[] = promptFamilies.flatMap(([prefix, folder, title, trainedOn]) =>
  [5, 4, 3, 2, 1].map((epoch) => publishedPrompts(prefix, folder, title, trainedOn, epoch)),
);

/**
 * Everything that `crane weights fetch` knows: four CLIP backbones, the twenty published checkpoints, and the vision
 * models that can guide D-Attn (docs/method.md#backbone, docs/method.md#second-models, docs/method.md#checkpoints).
 */
export const registeredWeights: readonly RegisteredWeights[] = [...backbones, ...prompts, ...spatialFiles];

/**
 * The entry of a name, upper or lower case; `crane-visa` and `crane-visa@5` are the same file, and backbones and vision
 * models answer to their file names without suffix too (`ViT-L-14-336px`). `dinov2`, `dino` and `sam` mean the paper's
 * choice of each. Undefined where the name is not registered.
 */
export function findRegisteredWeights(name: string): RegisteredWeights | undefined {
  const typed = name
    .trim()
    .toLowerCase()
    .replace(new RegExp(`^(crane-.*)@${lastEpoch}$`), '$1');
  const wanted = Object.hasOwn(PAPERS_CHOICE, typed) ? PAPERS_CHOICE[typed as SpatialFamily] : typed;
  return registeredWeights.find((entry) => {
    const stem = entry.kind === 'prompts' ? entry.name : entry.file.replace(/\.pth?$/, '');
    return entry.name.toLowerCase() === wanted || stem.toLowerCase() === wanted;
  });
}

/** As `findRegisteredWeights`, of one kind. @throws UsageError that lists what there is. */
export function registeredWeightsOf(name: string, kind?: WeightsKind): RegisteredWeights {
  const entry = findRegisteredWeights(name);
  if (entry !== undefined && (kind === undefined || entry.kind === kind)) return entry;
  const choices = registeredWeights.filter((item) => kind === undefined || item.kind === kind);
  const names = choices.filter((item) => !/@\d$/.test(item.name)).map((item) => item.name);
  const epochs =
    kind === 'backbone' || kind === 'spatial'
      ? ''
      : ' Prompts take an epoch from 1 to 5, as in crane-visa@3; without one it is 5.';
  const found =
    entry === undefined
      ? `no file is registered as "${name}"`
      : `"${name}" is the name of ${entry.kind}, not of ${kind}`;
  throw new UsageError('usage/weights-name', `${found}. Known: ${names.join(', ')}.${epochs}`, {
    name,
    kind,
    known: names,
  });
}
