import * as path from 'node:path';
import { WeightsError } from '../errors';
import { elementCount } from './elements';
import { rowMajorStrides } from './located-tensors';
import { openTensors } from './open';
import { type PickledTensor, pickleStateDict } from './pickle-writer';
import { type TensorToWrite, writeSafetensors } from './safetensors';
import { outside } from './name-patterns';
import { heldInstead, shownName } from '../files/shown-name';
import type { TensorSource } from './tensor-source';
import { writeTorchArchive } from './torch-archive-writer';
import { WeightReader } from './weight-reader';

/** Trained prompts (docs/method.md#checkpoints): everything that Crane learns. */
export interface PromptCheckpoint {
  /** Context vectors of the "normal" prompt, `[contextTokens, width]` in row-major order. */
  readonly contextNormal: Float32Array;
  /** The same of the "anomalous" prompt. */
  readonly contextAnomalous: Float32Array;
  /** Tokens inserted into the deeper text blocks, `depth - 1` times `[deepTokens, width]`. */
  readonly deep: readonly Float32Array[];
  readonly width: number;
  readonly contextTokens: number;
  readonly deepTokens: number;
  /** Text blocks that see learned tokens, the first one included. */
  readonly depth: number;
  /** What was stored with them: model options, auxiliary set, seed, hash of the backbone. Empty for the reference's files. */
  readonly metadata: Readonly<Record<string, string>>;
}

const NORMAL = 'context.normal';
const ANOMALOUS = 'context.anomalous';

/**
 * Parts of reference checkpoints that follow from the backbone, and layers of AnomalyCLIP's that are never used
 * (docs/method.md#checkpoints).
 */
const DERIVED =
  /(^|\.)(token_(prefix|suffix)_(pos|neg)|tokenized_prompts_(pos|neg)|compound_prompt_projections\.\d+\.(weight|bias))$/;

/**
 * Reads trained prompts: our safetensors, or `.pth` files of the reference (and of AnomalyCLIP, whose layout is the
 * same, docs/method.md#checkpoints). Depth and counts are read off the tensors.
 * @throws WeightsError where the file holds no prompts, surplus tensors, mixed widths, or values that are not finite
 */
export async function readPromptCheckpoint(file: string): Promise<PromptCheckpoint> {
  const source = await openTensors(file);
  try {
    return readFrom(source);
  } finally {
    source.close();
  }
}

function readFrom(source: TensorSource): PromptCheckpoint {
  const { prefix, normal, anomalous, deepName } = namesIn(source);
  // Beside the module that learns, training checkpoints hold its optimizer and more.
  const reader = new WeightReader(source, { ignorable: [DERIVED, ...outside(prefix)] });
  const shape = reader.shapeOf(normal);
  const [contextTokens = 0, width = 0] = shape.slice(-2);
  const count = elementCount(shape);
  if (shape.length < 2 || count === 0 || count !== contextTokens * width) {
    throw new WeightsError(
      'weights/shape',
      `${source.path}: ${normal} has shape [${shape.join(', ')}]; [tokens, width], perhaps after axes of length one, was expected`,
      { path: source.path, tensor: normal, found: shape },
    );
  }
  const deep: Float32Array[] = [];
  const deepTokens = reader.has(deepName(0)) ? (reader.shapeOf(deepName(0))[0] ?? 0) : 0;
  while (reader.has(deepName(deep.length))) deep.push(reader.take(deepName(deep.length), [deepTokens, width]));
  const checkpoint: PromptCheckpoint = {
    contextNormal: reader.take(normal, shape),
    contextAnomalous: reader.take(anomalous, shape),
    deep,
    width,
    contextTokens,
    deepTokens,
    depth: deep.length + 1,
    metadata: source.metadata,
  };
  reader.finish();
  if (!isFinitePrompts(checkpoint)) {
    throw new WeightsError(
      'weights/not-finite',
      `${source.path}: the prompts hold values that are not finite; the training diverged or the file is damaged`,
      { path: source.path },
    );
  }
  return checkpoint;
}

/** Whether all values of the prompts are numbers and finite. */
function isFinitePrompts({ contextNormal, contextAnomalous, deep }: PromptCheckpoint): boolean {
  return [contextNormal, contextAnomalous, ...deep].every((values) => values.every(Number.isFinite));
}

/** The names of both contexts and of the deep tokens, ours or the reference's below any prefix. */
function namesIn(source: TensorSource): {
  prefix: string;
  normal: string;
  anomalous: string;
  deepName: (index: number) => string;
} {
  if (source.entries.has(NORMAL))
    return { prefix: '', normal: NORMAL, anomalous: ANOMALOUS, deepName: (index) => `deep.${index}` };
  const [found, ...others] = [...source.entries.keys()].filter((name) => /(^|\.)ctx_pos$/.test(name));
  if (others.length > 0) {
    throw new WeightsError(
      'weights/several',
      `${source.path} holds ${others.length + 1} sets of prompts (${[found, ...others]
        .slice(0, 8)
        .map((name) => shownName(name ?? ''))
        .join(', ')}); save the intended one by itself`,
      { path: source.path },
    );
  }
  if (found === undefined) {
    throw new WeightsError(
      'weights/not-prompts',
      `${source.path} holds no trained prompts: neither ${NORMAL} nor prompt_learner.ctx_pos is there, but ${heldInstead([...source.entries.keys()])}`,
      { path: source.path },
    );
  }
  const prefix = found.slice(0, -'ctx_pos'.length);
  return {
    prefix,
    normal: found,
    anomalous: `${prefix}ctx_neg`,
    deepName: (index) => `${prefix}compound_prompts_text.${index}`,
  };
}

/** Writes trained prompts as safetensors (float32). `metadata` is stored along with what the checkpoint carries already. */
export function writePromptCheckpoint(
  file: string,
  checkpoint: PromptCheckpoint,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const { contextNormal, contextAnomalous, deep, width, contextTokens, deepTokens } = checkpoint;
  const tensor = (rows: number, data: Float32Array): TensorToWrite => ({
    dtype: 'float32',
    shape: [rows, width],
    data,
  });
  writeSafetensors(
    file,
    {
      [NORMAL]: tensor(contextTokens, contextNormal),
      [ANOMALOUS]: tensor(contextTokens, contextAnomalous),
      ...Object.fromEntries(deep.map((values, index) => [`deep.${index}`, tensor(deepTokens, values)])),
    },
    { 'crane.format': 'prompts', ...checkpoint.metadata, ...metadata },
  );
}

/** What the reference stores beside the prompts although it follows from the backbone: embeddings of the fixed words. */
export interface ReferenceBuffers {
  /** Embedding of the start token, `[width]`. */
  readonly prefix: Float32Array;
  /** Embeddings of everything behind the context tokens, `[contextLength - 1 - contextTokens, width]`. */
  readonly suffix: Float32Array;
  /** Token ids of the whole prompt with `X` in the context's places, `[contextLength]`. */
  readonly tokens: Int32Array;
}

/**
 * The buffers of one prompt.
 * @param tokens ids of `X X … X object.` or `X X … X damaged object.`, zero-padded to the context length
 * @param embedding the row of the backbone's token table for an id, `[width]`
 */
export function referenceBuffers(
  tokens: Int32Array,
  contextTokens: number,
  embedding: (id: number) => Float32Array,
): ReferenceBuffers {
  const rows = Array.from(tokens.subarray(1 + contextTokens), embedding);
  const width = rows[0]?.length ?? 0;
  const suffix = new Float32Array(rows.length * width);
  rows.forEach((row, index) => suffix.set(row, index * width));
  return { prefix: Float32Array.from(embedding(tokens[0] as number)), suffix, tokens };
}

/**
 * Writes trained prompts as the reference's `.pth`, which its test program loads strictly: 16 entries for depth 9, in
 * the published order (docs/method.md#checkpoints), in a torch zip archive. Tensors are marked as living on the CPU.
 * @throws WeightsError where buffers and prompts do not fit each other
 */
export function writeReferencePrompts(
  file: string,
  checkpoint: PromptCheckpoint,
  buffers: { readonly normal: ReferenceBuffers; readonly anomalous: ReferenceBuffers },
): void {
  const { width, contextTokens, deepTokens, deep } = checkpoint;
  const { normal, anomalous } = buffers;
  const behind = normal.tokens.length - 1 - contextTokens;
  const entries: readonly (readonly [string, readonly number[], Float32Array | Int32Array])[] = [
    ['ctx_pos', [1, 1, contextTokens, width], checkpoint.contextNormal],
    ['ctx_neg', [1, 1, contextTokens, width], checkpoint.contextAnomalous],
    ['token_prefix_pos', [1, 1, 1, width], normal.prefix],
    ['token_suffix_pos', [1, 1, behind, width], normal.suffix],
    ['token_prefix_neg', [1, 1, 1, width], anomalous.prefix],
    ['token_suffix_neg', [1, 1, behind, width], anomalous.suffix],
    ['tokenized_prompts_pos', [1, 1, normal.tokens.length], normal.tokens],
    ['tokenized_prompts_neg', [1, 1, normal.tokens.length], anomalous.tokens],
    ...deep.map((values, index) => [`compound_prompts_text.${index}`, [deepTokens, width], values] as const),
  ];
  const tensors = entries.map(([name, shape, values], index): PickledTensor => {
    if (values.length !== elementCount(shape)) {
      throw new WeightsError(
        'weights/shape',
        `${name}: ${values.length} values given for shape [${shape.join(', ')}]`,
        { tensor: name },
      );
    }
    return {
      name,
      storage: String(index),
      storageType: values instanceof Int32Array ? 'IntStorage' : 'FloatStorage',
      storageCount: values.length,
      offset: 0,
      shape,
      strides: rowMajorStrides(shape),
    };
  });
  // PyTorch writes storages in the order of their keys as text: 0, 1, 10, 11, …
  const storages = entries
    .map(([, , values], index) => ({
      name: `data/${index}`,
      content: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  writeTorchArchive(file, path.parse(file).name, [
    {
      name: 'data.pkl',
      content: pickleStateDict({
        key: 'prompt_learner',
        tensors,
        modules: ['', 'compound_prompts_text'],
        device: 'cpu',
      }),
    },
    { name: 'byteorder', content: Buffer.from('little') },
    ...storages,
    { name: 'version', content: Buffer.from('3\n') },
  ]);
}
