import * as fs from 'node:fs';
import * as path from 'node:path';
import { WeightsError } from '../errors';
import type { Activation } from '../layers/mlp';
import { CLIP_VARIANTS, type ClipSizes } from '../encoders/clip-sizes';
import { CLIP_PREPROCESSING, type Preprocessing } from '../image/preprocess';
import type { ParameterSource } from '../layers/crane-layer';
import { packageFolder } from '../files/package-folder';
import { ClipTokenizer } from '../prompts/tokenizer';
import { finishClip, openClipWeights, type OpenClipOptions } from '../weights/clip-weights';
import { parametersOf } from '../weights/parameters';
import { publishedPromptsBackbone } from '../weights/registry';
import { resolveWeights, sha256OfWeights, type WeightAccess } from '../weights/weight-cache';

/** The backbone that comes with the package; works offline. */
export const EMBEDDED_BACKBONE = 'nano';

export interface Backbone {
  /** The name it was requested by: a registered name, or the file's or folder's name. */
  readonly name: string;
  readonly path: string;
  readonly sizes: ClipSizes;
  readonly activation: Activation;
  readonly preprocessing: Preprocessing;
  /** Whether the weights, or files beside them, say how images are preprocessed; otherwise CLIP's usual way is assumed. */
  readonly saysInput: boolean;
  readonly tokenizer: ClipTokenizer;
  /** Vocabulary ids of the token table's rows, if the table does not cover the whole vocabulary. */
  readonly tokenIds?: readonly number[];
  /** Reads parameters by canonical name. */
  readonly parameters: ParameterSource;
  /** Assumptions about what neither the file nor anything beside it says, one sentence each. */
  readonly guesses: readonly string[];
  /** Checks that nothing in the file was left over. @throws WeightsError */
  finish(): void;
  /** sha256 of the weights, in hexadecimal; of a folder, of its weight files together. */
  sha256(): Promise<string>;
  /** Closes the file. Parameters already read stay valid. */
  close(): void;
}

export interface OpenBackboneOptions extends OpenClipOptions, WeightAccess {
  /**
   * Texts that the text encoder will encode. If given, only their tokens' rows of the token table are kept: a few kB of
   * ViT-L/14's 152 MB.
   */
  readonly words?: readonly string[];
}

/**
 * Opens a CLIP backbone: `nano`, a registered name such as `ViT-L/14@336px` (downloaded once), or a file or folder.
 * @throws UsageError for an unknown name; WeightsError for a file that is not CLIP, or a download that fails
 */
export async function openBackbone(
  nameOrPath: string = EMBEDDED_BACKBONE,
  options: OpenBackboneOptions = {},
): Promise<Backbone> {
  const { activation, heads, words, ...cache } = options;
  const file =
    nameOrPath === EMBEDDED_BACKBONE
      ? embeddedFile('nano.safetensors')
      : await resolveWeights(nameOrPath, 'backbone', cache);
  const weights = await openClipWeights(file, {
    ...(activation === undefined ? {} : { activation }),
    ...(heads === undefined ? {} : { heads }),
  });
  const { reader, sizes } = weights;
  const tokenizer = hasVocabulary(file) ? await ClipTokenizer.fromFolder(file) : ClipTokenizer.embedded();
  const chosen = words && weights.tokenIds === undefined ? tokensOf(words, tokenizer, sizes) : undefined;
  const tokenIds = chosen ?? weights.tokenIds;
  return {
    name: nameOrPath === file ? path.basename(file) : nameOrPath,
    path: file,
    sizes,
    activation: weights.activation,
    preprocessing: { ...weights.input, reference: false },
    saysInput: weights.saysInput,
    tokenizer,
    ...(tokenIds === undefined ? {} : { tokenIds: Array.from(tokenIds) }),
    guesses: weights.guesses,
    parameters: parametersOf(reader, new Map(chosen ? [['token_embedding.weight', chosen]] : [])),
    finish: () => finishClip(reader),
    sha256: () => sha256OfWeights(file),
    close: () => weights.close(),
  };
}

/**
 * Path of a file in the package's `checkpoints` folder.
 * @throws WeightsError if the package is incomplete
 */
export function embeddedFile(name: string): string {
  const file = path.join(packageFolder(), 'checkpoints', name);
  if (!fs.existsSync(file)) {
    throw new WeightsError(
      'weights/embedded-missing',
      `${file} is missing from this package; install it again, or give \`backbone\` and \`prompts\``,
      { path: file },
    );
  }
  return file;
}

/**
 * Ids of the tokens of texts, with start, end and padding, ascending. Tokens that the table lacks are reported when
 * used.
 */
function tokensOf(words: readonly string[], tokenizer: ClipTokenizer, { text }: ClipSizes): readonly number[] {
  const ids = [0, tokenizer.startToken, tokenizer.endToken, ...words.flatMap((text) => tokenizer.encode(text))];
  return [...new Set(ids)].filter((id) => id < text.vocabularySize).sort((a, b) => a - b);
}

/** Whether a folder contains its own tokenizer vocabulary. */
export function hasVocabulary(file: string): boolean {
  return ['tokenizer.json', 'vocab.json'].some((name) => fs.existsSync(path.join(file, name)));
}

/** Whether a backbone is the paper's network, which the published prompts are for. Its file may have any name. */
export function takesPublishedPrompts({
  sizes,
  activation,
  preprocessing,
}: Pick<Backbone, 'sizes' | 'activation' | 'preprocessing'>): boolean {
  const published = CLIP_VARIANTS[publishedPromptsBackbone];
  const isClips = JSON.stringify(inputOf(preprocessing)) === JSON.stringify(inputOf(CLIP_PREPROCESSING));
  return (
    activation === 'quick-gelu' &&
    isClips &&
    JSON.stringify(sortedSizes(sizes)) === JSON.stringify(published && sortedSizes(published))
  );
}

const inputOf = ({ resize, mean, std }: Preprocessing): unknown => [resize, mean, std];

function sortedSizes({ embedDimension, vision, text }: ClipSizes): readonly unknown[] {
  const ofTowers = [vision, text].flatMap(({ width, layers, heads, hidden, epsilon }) => [
    width,
    layers,
    heads,
    hidden,
    epsilon,
  ]);
  return [embedDimension, vision.patchSize, vision.gridSize, ...ofTowers];
}
