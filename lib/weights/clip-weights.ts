import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Activation, ClipSizes } from '../config';
import { WeightsError } from '../errors';
import { shownValue } from '../shown-value';
import { CLIP_IGNORABLE, type ClipLayout, huggingFaceNames, openAiNames, TOKEN_IDS } from './clip-keys';
import { openTensors } from './open';
import type { TensorSource } from './tensor-source';
import { WeightReader } from './weight-reader';

/** An open CLIP file: its tensors under canonical names, and everything about the network that the file decides. */
export interface ClipWeights {
  readonly reader: WeightReader;
  readonly sizes: ClipSizes;
  readonly activation: Activation;
  readonly layout: ClipLayout;
  /** Vocabulary ids of the token table's rows, ascending, where it is not the whole vocabulary. */
  readonly tokenIds?: Int32Array;
  readonly metadata: Readonly<Record<string, string>>;
  close(): void;
}

/** Metadata keys under which our own safetensors keep what the shapes do not tell. */
const METADATA = { layout: 'crane.layout', sizes: 'crane.sizes', activation: 'crane.activation' } as const;

/** Metadata that makes `openClipWeights` restore exactly these sizes and this activation. */
export function clipMetadata(sizes: ClipSizes, activation: Activation, layout: ClipLayout = 'nano'): Record<string, string> {
  return { [METADATA.layout]: layout, [METADATA.sizes]: JSON.stringify(sizes), [METADATA.activation]: activation };
}

/**
 * Opens CLIP weights from OpenAI (TorchScript archive or state dict), HuggingFace (`CLIPModel` folder or file),
 * open_clip, or our own, and reads the network's sizes off them (spec 1.1). Heads have 64 channels unless a
 * configuration beside the weights, or metadata inside, says otherwise. Close the result when the network is built.
 * @param options.activation what to use instead of what the file suggests: some methods were published with the exact
 *   GELU on OpenAI's weights (spec 1.4)
 * @throws WeightsError where this is not a CLIP vision transformer with its text tower
 */
export async function openClipWeights(source: string, options: { readonly activation?: Activation } = {}): Promise<ClipWeights> {
  const tensors = await openTensors(source);
  try {
    const found = findLayout(tensors);
    const reader = new WeightReader(tensors, {
      mapping: found.layout === 'huggingface' ? huggingFaceNames(found.prefix) : openAiNames(found.prefix, found.textPrefix),
      ignorable: [...CLIP_IGNORABLE, ...(found.prefix === '' ? [] : [outside(found.prefix)]), /^token_embedding\.ids$/],
    });
    const tokenIds = readTokenIds(tensors);
    const config = readConfig(source, found.layout);
    const sizes = readSizes(reader, config, tensors.metadata, tokenIds);
    const activation = options.activation ?? readActivation(source, found.layout, config, tensors.metadata);
    return {
      reader,
      sizes,
      activation,
      layout: found.layout,
      ...(tokenIds ? { tokenIds } : {}),
      metadata: tensors.metadata,
      close: () => tensors.close(),
    };
  } catch (error) {
    tensors.close();
    throw error;
  }
}

const outside = (prefix: string): RegExp => new RegExp(`^(?!${prefix.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')})`);

interface FoundLayout {
  readonly layout: ClipLayout;
  /** What stands before all names, such as `state_dict.module.` in training checkpoints. */
  readonly prefix: string;
  /** What stands before the text tower's names only. */
  readonly textPrefix: '' | 'text.';
}

function findLayout(tensors: TensorSource): FoundLayout {
  const names = [...tensors.entries.keys()];
  const prefixBefore = (ending: string): string | undefined =>
    names.filter((name) => name === ending || name.endsWith(`.${ending}`)).map((name) => name.slice(0, -ending.length))[0];

  const huggingFace = prefixBefore('vision_model.embeddings.patch_embedding.weight');
  if (huggingFace !== undefined) return { layout: 'huggingface', prefix: huggingFace, textPrefix: '' };
  const prefix = prefixBefore('visual.conv1.weight');
  if (prefix === undefined || !tensors.entries.has(`${prefix}visual.class_embedding`)) throw notClip(tensors, names);
  const textPrefix = tensors.entries.has(`${prefix}text.token_embedding.weight`) ? 'text.' : '';
  const own = tensors.metadata[METADATA.layout];
  if (own === 'nano' || own === 'openai' || own === 'open_clip') return { layout: own, prefix, textPrefix };
  // The two families share their names; open_clip's files show it in what is around them.
  const isOpenClip =
    textPrefix !== '' || prefix !== '' ||
    /open_clip|laion|datacomp|commonpool/i.test(path.basename(tensors.path)) ||
    openClipConfigPath(tensors.path) !== undefined;
  return { layout: isOpenClip ? 'open_clip' : 'openai', prefix, textPrefix };
}

function notClip(tensors: TensorSource, names: readonly string[]): WeightsError {
  const why =
    names.some((name) => /visual\.layer1\./.test(name)) ? 'it is a CLIP with a ResNet; Crane needs one with a vision transformer'
    : names.some((name) => /visual\.trunk\./.test(name)) ? 'its vision tower comes from timm, whose names are not read'
    : names.some((name) => /prompt_learner\./.test(name)) ? 'it holds trained prompts; give it as prompts, not as backbone'
    : names.some((name) => /(^|\.)blocks\.0\.attn\.qkv\.weight$/.test(name)) ? 'it is a DINO or SAM encoder; give it as spatial weights'
    : `found are ${names.length} tensors such as ${names.slice(0, 3).join(', ')}`;
  return new WeightsError(
    'weights/not-clip',
    `${tensors.path} is no CLIP vision transformer: visual.conv1.weight and visual.class_embedding (OpenAI, open_clip) or vision_model.… (HuggingFace) were expected, but ${why}`,
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
      `${tensors.path}: ${TOKEN_IDS} must name each of the token table's ${rows ?? 0} rows by an ascending id; found are ${ids.length} ids`,
      { path: tensors.path, found: ids.length, expected: rows },
    );
  }
  return ids;
}

/** What a configuration beside the weights says, as far as it matters here. */
interface ClipConfig {
  readonly visionHeads?: number;
  readonly textHeads?: number;
  readonly activation?: string;
}

const folderOf = (source: string): string => (fs.statSync(source).isDirectory() ? source : path.dirname(source));

function openClipConfigPath(source: string): string | undefined {
  const config = path.join(folderOf(source), 'open_clip_config.json');
  return fs.existsSync(config) ? config : undefined;
}

function readConfig(source: string, layout: ClipLayout): ClipConfig {
  if (layout === 'huggingface') {
    const config = readJson(path.join(folderOf(source), 'config.json'));
    const vision = section(config, 'vision_config');
    const text = section(config, 'text_config');
    const activation = vision['hidden_act'] ?? config['hidden_act'];
    const textActivation = text['hidden_act'] ?? activation;
    if (activation !== textActivation) {
      throw new WeightsError('weights/config', `${source}: the towers have different activations, ${shownValue(activation)} and ${shownValue(textActivation)}; one for both is needed`);
    }
    return heads(vision['num_attention_heads'], text['num_attention_heads'], activation);
  }
  if (layout === 'open_clip') {
    const config = section(readJson(openClipConfigPath(source) ?? ''), 'model_cfg');
    const vision = section(config, 'vision_cfg');
    const [width, headWidth] = [vision['width'], vision['head_width']];
    const visionHeads = typeof width === 'number' && typeof headWidth === 'number' ? width / headWidth : undefined;
    const quick = config['quick_gelu'] === true ? 'quick_gelu' : config['quick_gelu'] === false ? 'gelu' : undefined;
    return heads(visionHeads, section(config, 'text_cfg')['heads'], quick);
  }
  return {};
}

const heads = (vision: unknown, text: unknown, activation: unknown): ClipConfig => ({
  ...(typeof vision === 'number' ? { visionHeads: vision } : {}),
  ...(typeof text === 'number' ? { textHeads: text } : {}),
  ...(typeof activation === 'string' ? { activation } : {}),
});

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const section = (config: Json, key: string): Json => (isObject(config[key]) ? config[key] : {});

function readJson(file: string): Json {
  if (!fs.existsSync(file)) return {};
  try {
    const value: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (isObject(value)) return value;
  } catch {
    // Reported below together with JSON that is not an object.
  }
  throw new WeightsError('weights/config', `${file} is not a JSON object`, { path: file });
}

function readSizes(reader: WeightReader, config: ClipConfig, metadata: TensorSource['metadata'], tokenIds: Int32Array | undefined): ClipSizes {
  const own = ownSizes(reader.source.path, metadata);
  const conv = axes(reader, 'visual.conv1.weight', 4);
  const positions = axes(reader, 'visual.positional_embedding', 2)[0];
  const [, embedDimension] = axes(reader, 'visual.proj', 2);
  const [rows, textWidth] = axes(reader, 'token_embedding.weight', 2);
  const [contextLength] = axes(reader, 'positional_embedding', 2);
  const [width, colours, patchSize, patchWidth] = conv as readonly [number, number, number, number];
  const gridSize = Math.round(Math.sqrt(positions - 1));
  const wrong = (reason: string): WeightsError =>
    new WeightsError('weights/sizes', `${reader.source.path}: ${reason}`, { path: reader.source.path });
  if (colours !== 3 || patchSize !== patchWidth) throw wrong(`visual.conv1.weight has shape [${conv.join(', ')}]; square patches of three colours are needed`);
  if (gridSize ** 2 + 1 !== positions) throw wrong(`visual.positional_embedding has ${positions} rows, which is not one more than a square grid`);
  const headsOf = (tower: string, channels: number, said: number | undefined): number => {
    const count = said ?? channels / 64;
    if (Number.isInteger(count) && count > 0 && channels % count === 0) return count;
    throw wrong(`the ${tower} tower has ${channels} channels, which ${count} heads do not divide; a config.json beside the weights can give their number`);
  };
  return {
    embedDimension,
    vision: {
      width,
      layers: layersBelow(reader, 'visual.transformer.resblocks'),
      heads: headsOf('vision', width, config.visionHeads ?? own?.vision.heads),
      patchSize,
      gridSize,
    },
    text: {
      width: textWidth,
      layers: layersBelow(reader, 'transformer.resblocks'),
      heads: headsOf('text', textWidth, config.textHeads ?? own?.text.heads),
      contextLength,
      vocabularySize: tokenIds ? (own?.text.vocabularySize ?? WHOLE_VOCABULARY) : rows,
    },
  };
}

/** CLIP's byte-pair vocabulary (spec 1.5). */
const WHOLE_VOCABULARY = 49408;

function axes(reader: WeightReader, name: string, count: number): readonly [number, number, ...number[]] {
  const shape = reader.shapeOf(name);
  if (shape.length !== count || shape.includes(0)) {
    throw new WeightsError('weights/shape', `${reader.source.path}: ${name} has shape [${shape.join(', ')}]; ${count} axes, none empty, were expected`, { tensor: name, found: shape });
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
    if (counts.every((count) => Number.isInteger(count) && count > 0)) return sizes;
  } catch {
    // Reported below together with sizes that are not counts.
  }
  throw new WeightsError('weights/config', `${file}: its metadata ${METADATA.sizes} does not describe a CLIP network`, { path: file });
}

/** OpenAI trained with QuickGELU, open_clip by default with the exact GELU; HuggingFace's default is QuickGELU. */
function readActivation(source: string, layout: ClipLayout, config: ClipConfig, metadata: TensorSource['metadata']): Activation {
  const said = metadata[METADATA.activation] ?? config.activation;
  if (said === 'quick-gelu' || said === 'quick_gelu') return 'quick-gelu';
  if (said === 'gelu') return 'gelu';
  if (said !== undefined) throw new WeightsError('weights/config', `${source}: activation ${said} is not known; quick_gelu and gelu are`, { found: said });
  return layout === 'open_clip' && !/quickgelu|quick-gelu/i.test(path.basename(source)) ? 'gelu' : 'quick-gelu';
}
