import * as fs from 'node:fs';
import * as path from 'node:path';
import { type Activation, ACTIVATIONS } from '../layers/mlp';
import { CLIP_EPSILON, type ClipSizes, type HeadsChoice, type TransformerSizes } from '../encoders/clip-sizes';
import type { InputRule } from '../image/normalisation';
import { UsageError, WeightsError } from '../errors';
import {
  type ClipConfiguration,
  type ClipShapes,
  huggingFaceConfiguration,
  openClipConfigPath,
  openClipConfiguration,
  type TowerShapes,
} from './clip-configuration';
import { clipHeads } from './clip-heads';
import {
  CLIP_IGNORABLE,
  type ClipLayout,
  clipParameterShapes,
  huggingFaceNames,
  openAiNames,
  TOKEN_IDS,
} from './clip-keys';
import { CLIP_INPUT, huggingFaceInput, INPUT_KEY, storedInput } from './input-rule';
import { openTensors } from './open';
import { outside } from './name-patterns';
import { heldInstead, shownName } from '../files/shown-name';
import type { TensorSource } from './tensor-source';
import { WeightReader } from './weight-reader';

/** An open CLIP file: its tensors under canonical names, and everything about the network that the file decides. */
export interface ClipWeights {
  readonly reader: WeightReader;
  readonly sizes: ClipSizes;
  readonly activation: Activation;
  readonly layout: ClipLayout;
  /** How images become the network's input. */
  readonly input: InputRule;
  /** Whether the file, or a file beside it, says so; else it is CLIP's usual one. */
  readonly saysInput: boolean;
  /** Vocabulary ids of the token table's rows, ascending, where it is not the whole vocabulary. */
  readonly tokenIds?: Int32Array;
  readonly metadata: Readonly<Record<string, string>>;
  /** Assumptions about what nothing in or beside the file says, a sentence each. */
  readonly guesses: readonly string[];
  close(): void;
}

export interface OpenClipOptions {
  /**
   * Instead of what the file says: some methods were published with the exact GELU on OpenAI's weights
   * (docs/method.md#activation).
   */
  readonly activation?: Activation;
  /** Instead of what the file says. */
  readonly heads?: HeadsChoice;
}

/** Metadata keys under which our own safetensors keep what the shapes do not tell. */
const METADATA = { layout: 'crane.layout', sizes: 'crane.sizes', activation: 'crane.activation' } as const;

/** Metadata that makes `openClipWeights` restore exactly these sizes, this activation and this input. */
export function clipMetadata(
  sizes: ClipSizes,
  activation: Activation,
  layout: ClipLayout = 'nano',
  input: InputRule = CLIP_INPUT,
): Record<string, string> {
  const { resize, mean, std } = input;
  return {
    [METADATA.layout]: layout,
    [METADATA.sizes]: JSON.stringify(sizes),
    [METADATA.activation]: activation,
    [INPUT_KEY]: JSON.stringify({ resize, mean, std }),
  };
}

/**
 * Opens CLIP weights from OpenAI (TorchScript archive or state dict), HuggingFace (`CLIPModel` folder or file),
 * open_clip, or our own, and reads the network's sizes off them (docs/method.md#backbone). What no tensor determines, such
 * as heads, activation, epsilon and the input's mean and deviation, is what the options say, else the metadata inside,
 * else the configuration beside the weights, else as in published networks of that width. Close the result when the
 * network is built.
 * @throws WeightsError where this is not a CLIP vision transformer with its text tower; `weights/config` naming a field
 *   of the configuration that cannot be honoured; `weights/heads` where their number is unknown. UsageError for an
 *   unknown activation
 */
export async function openClipWeights(source: string, options: OpenClipOptions = {}): Promise<ClipWeights> {
  refuseUnknownActivation(options.activation);
  const tensors = await openTensors(source);
  try {
    const found = findLayout(tensors);
    const reader = new WeightReader(tensors, {
      mapping:
        found.layout === 'huggingface' ? huggingFaceNames(found.prefix) : openAiNames(found.prefix, found.textPrefix),
      ignorable: [...CLIP_IGNORABLE, ...outside(found.prefix), /^token_embedding\.ids$/],
    });
    const tokenIds = readTokenIds(tensors);
    const shapes = readShapes(reader);
    const own = ownSizes(tensors.path, tensors.metadata);
    const stored = {
      activation: storedActivation(source, tensors.metadata),
      input: storedInput(tensors.path, tensors.metadata),
    };
    // Our own files say all of it; a configuration that happens to be beside one belongs to something else.
    const isComplete = own !== undefined && stored.activation !== undefined && stored.input !== undefined;
    const config = isComplete ? undefined : readConfiguration(source, found.layout, shapes);
    const input = config?.input ?? (isComplete ? undefined : inputBeside(source, found.layout));
    const said = options.activation ?? stored.activation ?? config?.activation();
    const activation = said ?? usualActivation(source, found.layout);
    return {
      reader,
      sizes: sizesOf(tensors.path, shapes, own, config, options.heads, tokenIds),
      activation,
      layout: found.layout,
      input: { ...CLIP_INPUT, ...input, ...stored.input },
      saysInput: input !== undefined || stored.input !== undefined,
      ...(tokenIds ? { tokenIds } : {}),
      metadata: tensors.metadata,
      guesses: said !== undefined || isOfOpenAi(tensors) ? [] : [guessOf(source, activation)],
      close: () => tensors.close(),
    };
  } catch (error) {
    tensors.close();
    throw error;
  }
}

/** Beside the parameters; scoring uses temperatures of its own. */
const OF_TRAINING = /^(.*\.)?logit_(scale|bias)$/;

/**
 * Checks by names and shapes, without reading values, that every parameter of the network is there.
 * @throws WeightsError `weights/missing`, `weights/shape` or `weights/dtype` naming the tensor
 */
export function refuseIncompleteClip({ reader, sizes }: Pick<ClipWeights, 'reader' | 'sizes'>): void {
  const [tokenRows] = reader.shapeOf('token_embedding.weight');
  for (const [name, shape] of clipParameterShapes(sizes, tokenRows))
    if (!OF_TRAINING.test(name)) reader.locate(name, shape);
}

/** Checks that everything was used except what only training needs. @throws WeightsError `weights/surplus` */
export function finishClip(reader: WeightReader): void {
  reader.finish([OF_TRAINING]);
}

/** What callers without types may give. */
function refuseUnknownActivation(activation: string | undefined): void {
  if (activation === undefined || ACTIVATIONS.some((one) => one === activation)) return;
  throw new UsageError(
    'usage/activation',
    `activation ${JSON.stringify(activation)}: expected ${ACTIVATIONS.join(' or ')}`,
    { found: activation, expected: ACTIVATIONS },
  );
}

function readConfiguration(source: string, layout: ClipLayout, shapes: ClipShapes): ClipConfiguration | undefined {
  if (layout === 'huggingface') return huggingFaceConfiguration(source, shapes);
  return layout === 'open_clip' ? openClipConfiguration(source, shapes) : undefined;
}

/** The input where no configuration of the network says it: HuggingFace's, of a folder whose weights may be anyone's. */
function inputBeside(source: string, layout: ClipLayout): InputRule | undefined {
  return layout === 'huggingface' || fs.statSync(source).isDirectory() ? huggingFaceInput(source) : undefined;
}

/** OpenAI's own archives, whose activation is certain. */
function isOfOpenAi({ format, entries }: TensorSource): boolean {
  return (
    format === 'torchscript' || ['input_resolution', 'context_length', 'vocab_size'].every((name) => entries.has(name))
  );
}

function guessOf(source: string, activation: Activation): string {
  const other = activation === 'gelu' ? 'quick-gelu' : 'gelu';
  return `Nothing in or beside ${path.basename(source)} says which activation it was trained with, so ${activation} is assumed; if it was ${other}, set \`activation\` to that.`;
}

function sizesOf(
  file: string,
  { embedDimension, vision, text, tokenRows }: ClipShapes,
  own: ClipSizes | undefined,
  config: ClipConfiguration | undefined,
  heads: HeadsChoice = {},
  tokenIds: Int32Array | undefined,
): ClipSizes {
  const [chosenVision, chosenText, alike] =
    typeof heads === 'number' ? [heads, undefined, heads] : [heads.vision, heads.text, undefined];
  const tower = (
    kind: 'vision' | 'text',
    { width, layers, hidden }: TowerShapes,
    chosen: number | undefined,
  ): TransformerSizes => {
    const said = chosen ?? own?.[kind].heads ?? config?.[kind].heads;
    const epsilon = own === undefined ? config?.[kind].epsilon : own[kind].epsilon;
    return {
      width,
      layers,
      heads: clipHeads(file, kind, width, said, kind === 'text' ? alike : undefined),
      ...(hidden === 4 * width ? {} : { hidden }),
      ...(epsilon === undefined || epsilon === CLIP_EPSILON ? {} : { epsilon }),
    };
  };
  return {
    embedDimension,
    vision: { ...tower('vision', vision, chosenVision), patchSize: vision.patchSize, gridSize: vision.gridSize },
    text: {
      ...tower('text', text, chosenText),
      contextLength: text.contextLength,
      vocabularySize: tokenIds ? (own?.text.vocabularySize ?? WHOLE_VOCABULARY) : tokenRows,
    },
  };
}

interface FoundLayout {
  readonly layout: ClipLayout;
  /** The prefix of all names, such as `state_dict.module.` in training checkpoints. */
  readonly prefix: string;
  /** The prefix of the text tower's names only. */
  readonly textPrefix: '' | 'text.';
}

function findLayout(tensors: TensorSource): FoundLayout {
  const names = [...tensors.entries.keys()];
  const prefixesBefore = (ending: string): readonly string[] =>
    names.filter((name) => name === ending || name.endsWith(`.${ending}`)).map((name) => name.slice(0, -ending.length));

  const [ofHuggingFace, ofOthers] = [
    prefixesBefore('vision_model.embeddings.patch_embedding.weight'),
    prefixesBefore('visual.conv1.weight'),
  ];
  refuseSeveral(tensors.path, [...ofHuggingFace, ...ofOthers]);
  const [huggingFace] = ofHuggingFace;
  if (huggingFace !== undefined) return { layout: 'huggingface', prefix: huggingFace, textPrefix: '' };
  const [prefix] = ofOthers;
  if (prefix === undefined || !tensors.entries.has(`${prefix}visual.class_embedding`)) throw notClip(tensors, names);
  const textPrefix = tensors.entries.has(`${prefix}text.token_embedding.weight`) ? 'text.' : '';
  const own = tensors.metadata[METADATA.layout];
  if (own === 'nano' || own === 'openai' || own === 'open_clip') return { layout: own, prefix, textPrefix };
  // The two families share their names; open_clip's files show it in what is around them.
  const isOpenClip =
    textPrefix !== '' ||
    /open_clip|laion|datacomp|commonpool/i.test(path.basename(tensors.path)) ||
    fs.existsSync(openClipConfigPath(tensors.path));
  return { layout: isOpenClip ? 'open_clip' : 'openai', prefix, textPrefix };
}

/** Such as a model and the running mean of its weights: nothing says which of them is meant. */
function refuseSeveral(file: string, prefixes: readonly string[]): void {
  if (prefixes.length < 2) return;
  const places = prefixes
    .slice(0, 8)
    .map((prefix) => (prefix === '' ? 'the top' : shownName(prefix)))
    .join(', ');
  throw new WeightsError(
    'weights/several',
    `${file} holds ${prefixes.length} CLIPs (at ${places}); save the intended one by itself`,
    { path: file, prefixes },
  );
}

function notClip(tensors: TensorSource, names: readonly string[]): WeightsError {
  const why = names.some((name) => /visual\.layer1\./.test(name))
    ? 'it is a CLIP with a ResNet; Crane needs one with a vision transformer'
    : names.some((name) => /visual\.trunk\./.test(name))
      ? 'its vision tower comes from timm, whose names are not read'
      : names.some((name) => /prompt_learner\./.test(name))
        ? 'it holds trained prompts; give it as prompts, not as backbone'
        : names.some((name) => /(^|\.)blocks\.0\.attn\.qkv\.weight$/.test(name))
          ? 'it is a DINO or SAM encoder; give it as spatial weights'
          : heldInstead(names);
  return new WeightsError(
    'weights/not-clip',
    `${tensors.path} is not a CLIP vision transformer: visual.conv1.weight and visual.class_embedding (OpenAI, open_clip) or vision_model.… (HuggingFace) were expected, but ${why}`,
    { path: tensors.path },
  );
}

function readTokenIds(tensors: TensorSource): Int32Array | undefined {
  if (!tensors.entries.has(TOKEN_IDS)) return undefined;
  const ids = tensors.readIntegers(TOKEN_IDS);
  const rows = tensors.entries.get('token_embedding.weight')?.shape[0];
  const ascending = ids.every((id, index) => id >= 0 && (index === 0 || id > (ids[index - 1] as number)));
  if (ids.length !== rows || !ascending) {
    throw new WeightsError(
      'weights/shape',
      `${tensors.path}: ${TOKEN_IDS} must name each of the token table's ${rows ?? 0} rows by an ascending id; found ${ids.length} ids`,
      { path: tensors.path, found: ids.length, expected: rows },
    );
  }
  return ids;
}

function readShapes(reader: WeightReader): ClipShapes {
  const conv = axes(reader, 'visual.conv1.weight', 4);
  const positions = axes(reader, 'visual.positional_embedding', 2)[0];
  const [, embedDimension] = axes(reader, 'visual.proj', 2);
  const [tokenRows, textWidth] = axes(reader, 'token_embedding.weight', 2);
  const [contextLength] = axes(reader, 'positional_embedding', 2);
  const [width, colours, patchSize, patchWidth] = conv as readonly [number, number, number, number];
  const gridSize = Math.round(Math.sqrt(positions - 1));
  const wrong = (reason: string): WeightsError =>
    new WeightsError('weights/sizes', `${reader.source.path}: ${reason}`, { path: reader.source.path });
  if (colours !== 3 || patchSize !== patchWidth)
    throw wrong(`visual.conv1.weight has shape [${conv.join(', ')}]; square patches of three colours are needed`);
  if (gridSize ** 2 + 1 !== positions)
    throw wrong(`visual.positional_embedding has ${positions} rows, which is not one more than a square grid`);
  return {
    embedDimension,
    vision: { ...tower(reader, 'visual.transformer.resblocks', width), patchSize, gridSize },
    text: { ...tower(reader, 'transformer.resblocks', textWidth), contextLength },
    tokenRows,
  };
}

function tower(reader: WeightReader, place: string, width: number): TowerShapes {
  const layers = layersBelow(reader, place);
  const [hidden] = axes(reader, `${place}.0.mlp.c_fc.weight`, 2);
  return { width, layers, hidden };
}

/** CLIP's byte-pair vocabulary (docs/method.md#tokenizer). */
const WHOLE_VOCABULARY = 49408;

function axes(reader: WeightReader, name: string, count: number): readonly [number, number, ...number[]] {
  const shape = reader.shapeOf(name);
  if (shape.length !== count || shape.includes(0)) {
    throw new WeightsError(
      'weights/shape',
      `${reader.source.path}: ${name} has shape [${shape.join(', ')}]; ${count} axes, none empty, were expected`,
      { tensor: name, found: shape },
    );
  }
  return shape as readonly [number, number, ...number[]];
}

function layersBelow(reader: WeightReader, place: string): number {
  let layers = 0;
  while (reader.has(`${place}.${layers}.ln_1.weight`)) layers++;
  if (layers === 0) reader.shapeOf(`${place}.0.ln_1.weight`);
  return layers;
}

function ownSizes(file: string, metadata: TensorSource['metadata']): ClipSizes | undefined {
  const text = metadata[METADATA.sizes];
  if (text === undefined) return undefined;
  try {
    const sizes = JSON.parse(text) as ClipSizes;
    const counts = [sizes.vision.heads, sizes.text.heads, sizes.text.vocabularySize];
    const epsilons = [sizes.vision.epsilon, sizes.text.epsilon].filter((epsilon) => epsilon !== undefined);
    if (
      counts.every((count) => Number.isInteger(count) && count > 0) &&
      epsilons.every((epsilon) => Number.isFinite(epsilon) && epsilon > 0)
    )
      return sizes;
  } catch {
    // Reported below together with sizes that are not counts.
  }
  throw new WeightsError('weights/config', `${file}: its metadata ${METADATA.sizes} does not describe a CLIP network`, {
    path: file,
  });
}

/**
 * Where nothing says: OpenAI trained with QuickGELU, open_clip by default with the exact GELU; HuggingFace's default is
 * QuickGELU. What wraps a state dict, such as `module.`, identifies the program that saved it, not the activation.
 */
function usualActivation(source: string, layout: ClipLayout): Activation {
  return layout === 'open_clip' && !/quick-?gelu/i.test(path.basename(source)) ? 'gelu' : 'quick-gelu';
}

function storedActivation(source: string, metadata: TensorSource['metadata']): Activation | undefined {
  const said = metadata[METADATA.activation];
  if (said === undefined) return undefined;
  if (said === 'quick-gelu' || said === 'quick_gelu') return 'quick-gelu';
  if (said === 'gelu') return 'gelu';
  throw new WeightsError(
    'weights/config',
    `${source}: its metadata ${METADATA.activation} says ${said}, which is unknown; quick-gelu and gelu are supported`,
    { found: said },
  );
}
