import * as fs from 'node:fs';
import * as path from 'node:path';
import { removeLeftovers } from '../lib/files/atomic-file';
import type { OnProgress } from '../lib/progress';
import { UsageError, WeightsError } from '../lib/errors';
import { ClipTokenizer } from '../lib/prompts/tokenizer';
import { hasVocabulary } from '../lib/methods/backbone';
import { methods } from '../lib/methods/registry';
import { NETWORK_KEY } from '../lib/methods/trained-network';
import { clipMetadata, openClipWeights, type OpenClipOptions, refuseIncompleteClip } from '../lib/weights/clip-weights';
import { dinoMetadata, openDinoWeights } from '../lib/weights/dino-weights';
import { elementCount, isInteger } from '../lib/weights/elements';
import { INPUT_KEY } from '../lib/weights/input-rule';
import { openTensorsSync } from '../lib/weights/open';
import {
  readPromptCheckpoint,
  referenceBuffers,
  writePromptCheckpoint,
  writeReferencePrompts,
  type PromptCheckpoint,
  type ReferenceBuffers,
} from '../lib/weights/prompt-checkpoint';
import { openSamWeights, samMetadata } from '../lib/weights/sam-weights';
import { writeSafetensors, type TensorToWrite } from '../lib/weights/safetensors';
import type { LeftOut, TensorEntry, TensorSource } from '../lib/weights/tensor-source';
import { TorchCheckpointSource } from '../lib/weights/torch-checkpoint';
import { resolveWeights } from '../lib/weights/weight-cache';

export const storedTypes = ['keep', 'float32', 'float16', 'bfloat16'] as const;
export type StoredType = (typeof storedTypes)[number];

export interface ConvertOptions {
  /** Floating-point type in the safetensors file of a backbone. Default `keep`. */
  readonly dtype?: StoredType;
  /** Replace an existing file. Default false. */
  readonly force?: boolean;
  /** Name or file of the backbone that prompts were trained on; needed for `.pth` from our own safetensors. */
  readonly backbone?: string;
  /** Overrides what a backbone's file says or leaves open; stored with it. */
  readonly network?: OpenClipOptions;
  readonly onProgress?: OnProgress;
}

/** What was written, and what was left out. */
export interface Converted {
  readonly tensors: number;
  /** Length of the written file. */
  readonly bytes: number;
  /** What the user should know about it, one sentence each. */
  readonly notes: readonly string[];
  /** Unsupported kinds of tensors, and other programs' objects; see `TensorSource.leftOut`. */
  readonly leftOut: readonly LeftOut[];
  /** How many values that are not tensors, such as an epoch, were not written. */
  readonly values: number;
}

/**
 * Writes weights in another format, chosen by the suffix of `to`. Prompts go to our `.safetensors` or the reference
 * program's `.pth` (docs/method.md#checkpoints); anything else to `.safetensors`, tensor by tensor, under its
 * original names.
 *
 * The file is written atomically.
 *
 * @throws UsageError for another suffix, an existing file, a backbone as `.pth`, or a missing `backbone`;
 *   for prompts in a type other than float32; WeightsError where a file cannot be read, a CLIP is incomplete, or a
 *   value does not fit its target type
 */
export async function convertWeights(from: string, to: string, options: ConvertOptions = {}): Promise<Converted> {
  const suffix = /\.(safetensors|pth)$/i.exec(to)?.[1]?.toLowerCase();
  if (suffix === undefined)
    throw new UsageError(
      'usage/suffix',
      `${to}: this suffix cannot be written; expected .safetensors, or .pth for prompts`,
      { to },
    );
  if (fs.existsSync(to) && !options.force)
    throw new UsageError('usage/exists', `${to} already exists. Choose another name, or pass --force to replace it.`, {
      to,
    });
  removeLeftovers(path.dirname(path.resolve(to)), path.basename(to));
  const notes: string[] = [];
  const source = openTensorsSync(from);
  try {
    if (holdsPrompts(source)) {
      refuseTypeOfPrompts(options.dtype);
      const checkpoint = await readPromptCheckpoint(from);
      if (suffix === 'pth') notes.push(...lostWithMetadata(checkpoint));
      if (suffix === 'pth')
        writeReferencePrompts(to, checkpoint, await buffersFor(source, checkpoint, options.backbone));
      else writePromptCheckpoint(to, checkpoint);
    } else if (suffix === 'pth') {
      throw new UsageError(
        'usage/suffix',
        `${from} holds no prompts, and only prompts can be written as .pth: choose a name that ends in .safetensors`,
        { from, to },
      );
    } else {
      const { metadata, guesses } = await metadataOf(from, source, options.network);
      notes.push(...guesses);
      writeAll(source, to, metadata, options);
    }
  } finally {
    source.close();
  }
  const written = openTensorsSync(to);
  written.close();
  return {
    tensors: written.entries.size,
    bytes: fs.statSync(to).size,
    notes,
    leftOut: [...source.leftOut.values()],
    // TorchScript archives hold flags of every module, which nobody stored on purpose.
    values: source instanceof TorchCheckpointSource && source.format !== 'torchscript' ? source.plain.size : 0,
  };
}

function refuseTypeOfPrompts(dtype: StoredType = 'keep'): void {
  if (dtype === 'keep' || dtype === 'float32') return;
  throw new UsageError('usage/dtype', `--dtype ${dtype}: prompts are stored as float32; leave the option out`, {
    found: dtype,
  });
}

function holdsPrompts(source: TensorSource): boolean {
  return source.entries.has('context.normal') || [...source.entries.keys()].some((name) => /(^|\.)ctx_pos$/.test(name));
}

/** Parts of a `.pth` that depend on the backbone: taken from the file if it has them, otherwise from the backbone. */
async function buffersFor(
  source: TensorSource,
  checkpoint: PromptCheckpoint,
  backbone: string | undefined,
): Promise<{ normal: ReferenceBuffers; anomalous: ReferenceBuffers }> {
  const prefix = [...source.entries.keys()]
    .find((name) => name.endsWith('token_prefix_pos'))
    ?.slice(0, -'token_prefix_pos'.length);
  if (prefix !== undefined) {
    const stored = (state: string): ReferenceBuffers => ({
      prefix: source.read(`${prefix}token_prefix_${state}`),
      suffix: source.read(`${prefix}token_suffix_${state}`),
      tokens: source.readIntegers(`${prefix}tokenized_prompts_${state}`),
    });
    return { normal: stored('pos'), anomalous: stored('neg') };
  }
  if (backbone === undefined) {
    throw new UsageError(
      'usage/backbone',
      `a .pth file also stores the backbone's embeddings of the fixed words, but ${source.path} has only the prompts: name the backbone with --backbone`,
      { path: source.path },
    );
  }
  const clip = await openClipWeights(await resolveWeights(backbone, 'backbone'));
  try {
    const embedding = embeddingRows(clip, checkpoint.width, backbone);
    const placeholders = Array.from({ length: checkpoint.contextTokens }, () => 'X').join(' ');
    const of = (words: string): ReferenceBuffers =>
      referenceBuffers(
        ClipTokenizer.embedded().tokenize(`${placeholders} ${words}`, { contextLength: clip.sizes.text.contextLength }),
        checkpoint.contextTokens,
        embedding,
      );
    return { normal: of('object.'), anomalous: of('damaged object.') };
  } finally {
    clip.close();
  }
}

/** Rows of the backbone's token table by vocabulary id, `[width]` each. */
function embeddingRows(
  clip: Awaited<ReturnType<typeof openClipWeights>>,
  width: number,
  backbone: string,
): (id: number) => Float32Array {
  const [rows = 0, found = 0] = clip.reader.shapeOf('token_embedding.weight');
  if (found !== width) {
    throw new WeightsError(
      'weights/shape',
      `the prompts are ${width} wide, but ${backbone} embeds words in ${found}: it is not the backbone they were trained on`,
      { expected: width, found },
    );
  }
  const table = clip.reader.take('token_embedding.weight', [rows, width]);
  return (id) => {
    const row = clip.tokenIds ? clip.tokenIds.indexOf(id) : id;
    if (row < 0 || row >= rows)
      throw new WeightsError(
        'weights/vocabulary',
        `${backbone} has no embedding for token ${id}, which every prompt needs`,
        { token: id },
      );
    return table.slice(row * width, (row + 1) * width);
  };
}

interface StoredMetadata {
  readonly metadata: Readonly<Record<string, string>>;
  readonly guesses: readonly string[];
}

/**
 * How the tensors are used is recorded beside them, in names or configurations, and must be kept: heads,
 * activation, epsilon and preprocessing.
 */
async function metadataOf(from: string, source: TensorSource, network: OpenClipOptions = {}): Promise<StoredMetadata> {
  const clip = await unlessOther(() => openClipWeights(from, network), 'weights/not-clip');
  if (clip !== undefined) {
    try {
      refuseIncompleteClip(clip);
    } finally {
      clip.close();
    }
    await refuseOtherVocabulary(from);
    return {
      metadata: { ...source.metadata, ...clipMetadata(clip.sizes, clip.activation, clip.layout, clip.input) },
      guesses: clip.guesses,
    };
  }
  const dino = await unlessOther(() => openDinoWeights(from), 'weights/not-dino', 'weights/heads');
  dino?.close();
  if (dino !== undefined)
    return {
      metadata: { ...source.metadata, ...dinoMetadata(dino.family, dino.sizes, dino.normalisation) },
      guesses: [],
    };
  const sam = await unlessOther(() => openSamWeights(from), 'weights/not-sam');
  sam?.close();
  return { metadata: { ...source.metadata, ...(sam && samMetadata(sam.sizes, sam.normalisation)) }, guesses: [] };
}

/** Undefined where the file holds something else, or a second vision model's heads are unknown. */
async function unlessOther<T>(open: () => Promise<T>, ...codes: readonly string[]): Promise<T | undefined> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof WeightsError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

/** A single file has no vocabulary, and is read with CLIP's own. */
async function refuseOtherVocabulary(from: string): Promise<void> {
  if (!hasVocabulary(from)) return;
  const [theirs, ours] = [await ClipTokenizer.fromFolder(from), ClipTokenizer.embedded()];
  const tokens = (tokenizer: ClipTokenizer): string =>
    JSON.stringify([
      tokenizer.startToken,
      tokenizer.endToken,
      ...methods.flatMap((method) => method.words({}, []) ?? []).map((words) => [...tokenizer.encode(words)]),
    ]);
  if (tokens(theirs) === tokens(ours)) return;
  throw new WeightsError(
    'weights/vocabulary',
    `${from} has its own vocabulary, which a single file cannot hold; use the folder itself`,
    { path: from },
  );
}

/** The reference's files have no room for the options stored with prompts. */
function lostWithMetadata({ metadata }: PromptCheckpoint): string[] {
  const kept = [INPUT_KEY, NETWORK_KEY, 'crane.options'].filter((key) => key in metadata);
  return kept.length === 0
    ? []
    : [
        `The .pth file cannot hold the options stored with the prompts (${kept.join(', ')}): pass the same options when using it.`,
      ];
}

function writeAll(
  source: TensorSource,
  to: string,
  metadata: Readonly<Record<string, string>>,
  options: ConvertOptions,
): void {
  const task = 'convert';
  const total = source.entries.size;
  options.onProgress?.({ kind: 'start', task, total, unit: 'steps' });
  let done = 0;
  const counted =
    <T>(read: () => T): (() => T) =>
    () => {
      const data = read();
      options.onProgress?.({ kind: 'advance', task, done: ++done, total });
      return data;
    };
  refuseSpread(source);
  // Without a prototype, so that no name has a special meaning.
  const tensors = Object.create(null) as Record<string, TensorToWrite>;
  for (const entry of source.entries.values()) {
    const { name, shape } = entry;
    const dtype = storedType(entry, options.dtype ?? 'keep');
    tensors[name] =
      dtype === 'int32'
        ? { dtype, shape, data: counted(() => source.readIntegers(name)) }
        : { dtype, shape, data: counted(() => source.read(name)) };
  }
  writeSafetensors(to, tensors, metadata);
  options.onProgress?.({ kind: 'done', task });
}

/**
 * How often a file's values may repeat in the output: shared weights do, but a single value must not fill a huge shape.
 */
const MOST_REPEATED = 8;
const ALWAYS_WRITTEN = 2 ** 30;

function refuseSpread(source: TensorSource): void {
  const values = [...source.entries.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const stored = storedBytes(source.path);
  if (4 * values <= Math.max(4 * MOST_REPEATED * stored, ALWAYS_WRITTEN)) return;
  throw new WeightsError(
    'weights/limit',
    `${source.path} has ${stored} bytes, but the shapes of its tensors take ${values} values: a few values are repeated over many, so it is not written out`,
    { path: source.path, values, stored },
  );
}

/** Length of a file, or of all files in a folder. */
function storedBytes(place: string): number {
  const stat = fs.statSync(place);
  if (!stat.isDirectory()) return stat.size;
  return fs
    .readdirSync(place)
    .reduce((sum, name) => sum + (fs.statSync(path.join(place, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

/** Integers stay integers, whatever type is requested. */
function storedType(entry: TensorEntry, wanted: StoredType): TensorToWrite['dtype'] {
  if (isInteger(entry.dtype)) return 'int32';
  if (wanted !== 'keep') return wanted;
  return entry.dtype === 'float16' || entry.dtype === 'bfloat16' ? entry.dtype : 'float32';
}
