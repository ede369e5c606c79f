import * as fs from 'node:fs';
import * as path from 'node:path';
import { WeightsError } from '../../../lib/errors';
import { storedOptions } from '../../../lib/methods/checkpoint-origin';
import { craneMethod } from '../../../lib/methods/crane';
import { clipMetadata, openClipWeights } from '../../../lib/weights/clip-weights';
import { storedInput } from '../../../lib/weights/input-rule';
import { openTensorsSync } from '../../../lib/weights/open';
import {
  readPromptCheckpoint,
  writePromptCheckpoint,
  writeReferencePrompts,
  type PromptCheckpoint,
} from '../../../lib/weights/prompt-checkpoint';
import { ReusedBytes } from '../../../lib/weights/reused-bytes';
import { writeSafetensors, type TensorToWrite } from '../../../lib/weights/safetensors';
import type { TensorSource } from '../../../lib/weights/tensor-source';
import { checkpoint, op, pickle, tensor, torchZip } from '../../weights/archives';
import { jsonOf, mutateJson, textOf, type Json } from '../mutate/json';
import { mutatePickle, parsePickle, writePickle, type PickleOp } from '../mutate/pickle-ops';
import { disturbBytes, fieldValue, readField, writeField } from '../mutate/values';
import { mutateZip, readZip, writeZip, type ZipPart } from '../mutate/zip-file';
import type { Random } from '../random';
import type { Files, Target } from '../target';
import { makeScratch } from '../workspace';

/** Values that are read of one mutant: enough for every tensor of the seeds. */
const MOST_VALUES = 1 << 22;

/** Reads what is there in each of the ways that the product has, and says at the end what was refused first. */
function readTensors(source: TensorSource): void {
  try {
    let left = MOST_VALUES;
    let refused: WeightsError | undefined;
    const stored = new ReusedBytes('conversion');
    let number = 0;
    for (const [name, { shape }] of source.entries) {
      const count = shape.reduce((product, size) => product * size, 1);
      if (count > left) continue;
      left -= count;
      try {
        source.read(name);
        switch (number++ % 4) {
          case 0:
            source.readStored(name, stored);
            break;
          case 1:
            source.readDoubles(name);
            break;
          case 2:
            source.readIntegers(name);
            break;
          default:
            if (shape.length === 2 && count > 0) source.readRows(name, [0, (shape[0] as number) - 1]);
        }
      } catch (error) {
        // Integers are asked for of any tensor here, and refused of some.
        if (!(error instanceof WeightsError)) throw error;
        if (error.code !== 'weights/dtype' && error.code !== 'weights/range') refused ??= error;
      }
    }
    if (refused) throw refused;
  } finally {
    source.close();
  }
}

const golden = (name: string): Buffer => fs.readFileSync(path.resolve(__dirname, '../../goldens', name));

/** The bytes of a file that one of the library's own functions writes. */
function written(write: (file: string) => void): Buffer {
  const folder = makeScratch();
  try {
    const file = path.join(folder, 'seed.bin');
    write(file);
    return fs.readFileSync(file);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const values = (count: number): Float32Array => Float32Array.from({ length: count }, (_, index) => index / 8);
const matrix = (...shape: readonly number[]): TensorToWrite => ({
  dtype: 'float32',
  shape,
  data: values(shape.reduce((product, size) => product * size, 1)),
});

const prompts: PromptCheckpoint = {
  contextNormal: values(16),
  contextAnomalous: values(16),
  deep: [values(16), values(16)],
  width: 8,
  contextTokens: 2,
  deepTokens: 2,
  depth: 3,
  metadata: {
    'crane.options': JSON.stringify({ imageSize: 70, layers: [2, 4], eattnBlocks: 5, spatial: 'dinov2' }),
    'crane.auxiliary': 'visa',
    'crane.backbone.sha256': 'ab'.repeat(32),
    'crane.preprocessing': JSON.stringify({
      resize: 'bicubic',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      reference: false,
    }),
  },
};
const buffers = { prefix: values(8), suffix: values(8 * 4), tokens: Int32Array.of(1, 2, 3, 4, 5, 6, 7) };

/** As `torch.jit.save` lays it out: the module is an object of a class, and constants lie beside it. */
const script = torchZip(
  pickle(
    op.global('__torch__.net', 'Net'),
    op.code(')\x81}('),
    op.text('visual'),
    op.global('__torch__.net', 'Visual'),
    op.code(')\x81}'),
    op.text('weight'),
    tensor({}),
    op.code('sb'),
    op.text('training'),
    op.code('\x89ub'),
  ),
  [
    { name: 'x/data/0', content: Buffer.from(values(6).buffer) },
    { name: 'x/constants.pkl', content: pickle(op.code(')')) },
    { name: 'x/code/__torch__/net.py', content: Buffer.from('class Net: pass') },
  ],
);

interface TorchSeed {
  readonly parts: readonly ZipPart[];
  readonly ops: readonly PickleOp[];
}

const isPickle = ({ name }: ZipPart): boolean => name.endsWith('/data.pkl');

function torchSeed(bytes: Buffer): TorchSeed {
  const parts = readZip(bytes);
  return { parts, ops: parsePickle(Buffer.from((parts.find(isPickle) as ZipPart).content)).ops };
}

const torchSeeds: readonly TorchSeed[] = [
  golden('torch_zoo.pth'),
  checkpoint([
    { name: 'a' },
    { name: 'b', shape: [2], strides: [2], offset: 1 },
    { name: 'c', shape: [3, 2], strides: [1, 3] },
    { name: 'd', shape: [4, 6], strides: [0, 1] },
  ]),
  script,
].map(torchSeed);
const promptSeed = torchSeed(
  written((file) => writeReferencePrompts(file, prompts, { normal: buffers, anomalous: buffers })),
);

const zipOps = [...torchSeeds, promptSeed].map(({ ops }) => ops);

/** An archive whose pickle is changed and whose headers are right, so that the change is reached. */
function withPickle(random: Random, { parts, ops }: TorchSeed): Buffer {
  const changed = parts.map((part) =>
    isPickle(part) ? { ...part, content: mutatePickle(random, ops, zipOps), deflated: random.chance(0.1) } : part,
  );
  return random.chance(0.08) ? mutateZip(random, changed) : writeZip(changed).bytes;
}

/** Names that the reader looks for. */
const recordNames = [
  'x/data.pkl',
  'data.pkl',
  'y/data.pkl',
  'x/byteorder',
  'x/constants.pkl',
  'x/data/0',
  'x/data/1',
  'x/.data/serialization_id',
  'x/../data.pkl',
  '__MACOSX/data.pkl',
  'x/data/__proto__',
  '',
];

const one = (name: string, content: Uint8Array): Files => ({ [name]: content });
const reads =
  (name: string) =>
  (folder: string): void =>
    readTensors(openTensorsSync(path.join(folder, name)));

const torchPickle: Target = {
  name: 'torch-pickle',
  group: 'weights',
  seeds: torchSeeds.map(({ parts }) => one('m.pt', writeZip(parts).bytes)),
  mutate: (random) => one('m.pt', withPickle(random, random.pick(torchSeeds))),
  read: reads('m.pt'),
};

const torchArchive: Target = {
  name: 'torch-archive',
  group: 'weights',
  seeds: torchSeeds.flatMap(({ parts }) => [
    one('m.pt', writeZip(parts, { zip64: true }).bytes),
    one('m.pt', writeZip(parts.map((part) => ({ ...part, deflated: true, zip64: true }))).bytes),
  ]),
  mutate: (random) => one('m.pt', mutateZip(random, random.pick(torchSeeds).parts, { names: recordNames })),
  read: reads('m.pt'),
};

interface LegacyFile {
  readonly pickles: readonly (readonly PickleOp[])[];
  readonly storages: Buffer;
}

function parseLegacy(bytes: Buffer): LegacyFile {
  const pickles: PickleOp[][] = [];
  let at = 0;
  while (pickles.length < 5) {
    const { ops, end } = parsePickle(bytes, at);
    pickles.push(ops);
    at = end;
  }
  return { pickles, storages: bytes.subarray(at) };
}

const legacySeed = parseLegacy(golden('torch_zoo_legacy.pth'));
const writeLegacy = ({ pickles, storages }: LegacyFile): Buffer =>
  Buffer.concat([...pickles.map(writePickle), storages]);

const torchLegacy: Target = {
  name: 'torch-legacy',
  group: 'weights',
  seeds: [one('m.pth', writeLegacy(legacySeed))],
  mutate(random) {
    const { pickles, storages } = legacySeed;
    const parts: Buffer[] = pickles.map(writePickle);
    // The first is the magic number by which the format is known.
    const place = random.chance(0.6) ? 3 : 1 + random.below(5);
    if (place < 5) parts[place] = mutatePickle(random, pickles[place] ?? [], [...pickles, ...zipOps]);
    const behind = place === 5 ? changedStorages(random, storages) : storages;
    return one('m.pth', Buffer.concat([...parts, behind]));
  },
  read: reads('m.pth'),
};

/** The storages' counts stand before their values; the first is at the beginning. */
function changedStorages(random: Random, storages: Buffer): Uint8Array {
  if (random.chance(0.5)) return disturbBytes(random, storages);
  const changed = Buffer.from(storages);
  const field = { at: random.chance(0.5) ? 0 : random.below(changed.length), width: 8 } as const;
  writeField(changed, field, fieldValue(random, 8, readField(changed, field)));
  return changed;
}

interface SafetensorsSeed {
  readonly header: Json;
  readonly data: Buffer;
}

function parseSafetensors(bytes: Buffer): SafetensorsSeed {
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  return { header: jsonOf(JSON.parse(bytes.toString('utf8', 8, end))), data: bytes.subarray(end) };
}

function safetensors(header: Uint8Array, data: Uint8Array, claimed = BigInt(header.length)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed);
  return Buffer.concat([length, header, data]);
}

/** Tensors are left alone, since places that do not fit each other are refused before metadata are looked at. */
function withMetadata(random: Random, header: Json, words: readonly string[]): Buffer {
  const members = header.kind === 'object' ? header.members : [];
  const texts = members.map(
    ([key, member]) =>
      `${JSON.stringify(key)}:${key === '__metadata__' ? mutateJson(random, member, words).toString() : textOf(member)}`,
  );
  return Buffer.from(`{${texts.join()}}`);
}

function mutateSafetensors(random: Random, { header, data }: SafetensorsSeed, words: readonly string[]): Buffer {
  const json = random.chance(0.3)
    ? withMetadata(random, header, words)
    : random.chance(0.9)
      ? mutateJson(random, header, words)
      : Buffer.from(textOf(header));
  const behind = random.chance(0.15) ? disturbBytes(random, data) : data;
  return random.chance(0.05)
    ? safetensors(json, behind, fieldValue(random, 8, BigInt(json.length)))
    : safetensors(json, behind);
}

const tensorSeed = parseSafetensors(
  written((file) =>
    writeSafetensors(
      file,
      {
        a: matrix(2, 3),
        b: { dtype: 'float16', shape: [4], data: values(4) },
        c: { dtype: 'bfloat16', shape: [2, 1, 2], data: values(4) },
        d: { dtype: 'int32', shape: [], data: Int32Array.of(7) },
        e: matrix(0, 5),
        'f.g': matrix(1),
      },
      { key: 'value' },
    ),
  ),
);
const tensorWords = [
  'dtype',
  'shape',
  'data_offsets',
  '__metadata__',
  'F64',
  'F32',
  'F16',
  'BF16',
  'I64',
  'I32',
  'I16',
  'I8',
  'U8',
  'BOOL',
  'U16',
  'F8_E5M2',
  'C64',
  'a',
  'b',
];

const safetensorsTarget: Target = {
  name: 'safetensors',
  group: 'weights',
  seeds: [one('m.safetensors', safetensors(Buffer.from(textOf(tensorSeed.header)), tensorSeed.data))],
  mutate: (random) => one('m.safetensors', mutateSafetensors(random, tensorSeed, tensorWords)),
  read: reads('m.safetensors'),
};

const sizes = {
  embedDimension: 64,
  vision: { width: 64, layers: 6, heads: 1, patchSize: 14, gridSize: 5 },
  text: { width: 64, layers: 4, heads: 1, contextLength: 77, vocabularySize: 49408 },
};

/** What opening a model does with prompts, up to where tensors are made. */
async function readPrompts(file: string): Promise<void> {
  const read = await readPromptCheckpoint(file);
  craneMethod.inherited(
    storedOptions({ learned: read, called: 'prompts', options: craneMethod.options }),
    sizes,
    'none',
  );
  storedInput(file, read.metadata);
}

const promptsTorch: Target = {
  name: 'prompts-torch',
  group: 'weights',
  seeds: [one('p.pth', writeZip(promptSeed.parts).bytes)],
  mutate: (random) =>
    one(
      'p.pth',
      random.chance(0.8) ? withPickle(random, promptSeed) : mutateZip(random, promptSeed.parts, { names: recordNames }),
    ),
  read: (folder) => readPrompts(path.join(folder, 'p.pth')),
};

const promptTensors = parseSafetensors(written((file) => writePromptCheckpoint(file, prompts)));
const promptWords = [
  'context.normal',
  'context.anomalous',
  'deep.0',
  'deep.1',
  'deep.2',
  'crane.options',
  'crane.auxiliary',
  'crane.format',
  '__metadata__',
  'shape',
  'data_offsets',
  'dtype',
  'F32',
  'F16',
  'I32',
  'crane.preprocessing',
  '{"mean":[1e999,0,"1"],"std":[0,0,0]}',
  '{"resize":{"a":[]}}',
  `{"std":${'['.repeat(9000)}${']'.repeat(9000)}}`,
  '{"layers":{"length":3}}',
  '{"imageSize":1e999}',
  '{"__proto__":{"polluted":1}}',
  '{"spatial":"constructor"}',
  '{"layers":[[[]]]}',
  '[',
  'null',
  '{"eattnBlocks":-1,"imageSize":"70"}',
];

const promptsSafetensors: Target = {
  name: 'prompts-safetensors',
  group: 'weights',
  seeds: [one('p.safetensors', safetensors(Buffer.from(textOf(promptTensors.header)), promptTensors.data))],
  mutate: (random) => one('p.safetensors', mutateSafetensors(random, promptTensors, promptWords)),
  read: (folder) => readPrompts(path.join(folder, 'p.safetensors')),
};

const shards: Files = {
  'model-00001-of-00002.safetensors': written((file) => writeSafetensors(file, { a: matrix(2, 3), b: matrix(4) })),
  'model-00002-of-00002.safetensors': written((file) => writeSafetensors(file, { c: matrix(2, 2) })),
};
const shardIndex = jsonOf({
  metadata: { total_size: 56 },
  weight_map: {
    a: 'model-00001-of-00002.safetensors',
    b: 'model-00001-of-00002.safetensors',
    c: 'model-00002-of-00002.safetensors',
  },
});
const INDEX = 'model.safetensors.index.json';

const sharded: Target = {
  name: 'sharded',
  group: 'weights',
  seeds: [{ ...shards, [INDEX]: Buffer.from(textOf(shardIndex)) }],
  mutate: (random) => ({
    ...(random.chance(0.05) ? Object.fromEntries(Object.entries(shards).filter(() => random.chance(0.5))) : shards),
    [INDEX]: mutateJson(random, shardIndex, ['weight_map', 'metadata', 'a', 'b', 'c', INDEX, ...Object.keys(shards)]),
  }),
  read: (folder) => readTensors(openTensorsSync(folder)),
};

const layer = (place: string, ...names: readonly string[]): Record<string, TensorToWrite> =>
  Object.fromEntries(names.map((name) => [`${place}.${name}`, matrix(64)]));
/** A tiny CLIP as far as opening it looks. */
const huggingFace = written((file) =>
  writeSafetensors(file, {
    'vision_model.embeddings.patch_embedding.weight': matrix(64, 3, 2, 2),
    'vision_model.embeddings.class_embedding': matrix(64),
    'vision_model.embeddings.position_embedding.weight': matrix(5, 64),
    'vision_model.encoder.layers.0.mlp.fc1.weight': matrix(256, 64),
    'text_model.encoder.layers.0.mlp.fc1.weight': matrix(256, 64),
    'visual_projection.weight': matrix(8, 64),
    'text_projection.weight': matrix(8, 64),
    'text_model.embeddings.token_embedding.weight': matrix(9, 64),
    'text_model.embeddings.position_embedding.weight': matrix(7, 64),
    ...layer('vision_model.encoder.layers.0', 'layer_norm1.weight', 'layer_norm1.bias'),
    ...layer('text_model.encoder.layers.0', 'layer_norm1.weight', 'layer_norm1.bias'),
  }),
);
const clipTensors = {
  'visual.conv1.weight': matrix(64, 3, 2, 2),
  'visual.class_embedding': matrix(64),
  'visual.positional_embedding': matrix(5, 64),
  'visual.proj': matrix(64, 8),
  'visual.transformer.resblocks.0.mlp.c_fc.weight': matrix(256, 64),
  'transformer.resblocks.0.mlp.c_fc.weight': matrix(256, 64),
  text_projection: matrix(64, 8),
  'token_embedding.weight': matrix(9, 64),
  positional_embedding: matrix(7, 64),
  ...layer('visual.transformer.resblocks.0', 'ln_1.weight'),
  ...layer('transformer.resblocks.0', 'ln_1.weight'),
};

interface ConfiguredModel {
  readonly weights: Files;
  readonly config: string;
  readonly json: Json;
  readonly words: readonly string[];
}

const models: readonly ConfiguredModel[] = [
  {
    weights: { 'model.safetensors': huggingFace },
    config: 'config.json',
    json: jsonOf({
      model_type: 'clip',
      projection_dim: 8,
      vision_config: { hidden_size: 64, hidden_act: 'quick_gelu', num_attention_heads: 1, layer_norm_eps: 1e-5 },
      text_config: { hidden_size: 64, hidden_act: 'quick_gelu', num_attention_heads: 1, layer_norm_eps: 1e-5 },
    }),
    words: [
      'hidden_act',
      'num_attention_heads',
      'vision_config',
      'text_config',
      'quick_gelu',
      'gelu',
      'layer_norm_eps',
      'image_size',
    ],
  },
  {
    weights: { 'open_clip_model.safetensors': written((file) => writeSafetensors(file, clipTensors)) },
    config: 'open_clip_config.json',
    json: jsonOf({
      model_cfg: {
        embed_dim: 8,
        quick_gelu: true,
        vision_cfg: { width: 64, head_width: 64, patch_size: 2, image_size: 4 },
        text_cfg: { width: 64, heads: 1, context_length: 7 },
      },
      preprocess_cfg: {
        mean: [0.48145466, 0.4578275, 0.40821073],
        std: [0.26862954, 0.26130258, 0.27577711],
        interpolation: 'bicubic',
      },
    }),
    words: [
      'quick_gelu',
      'vision_cfg',
      'text_cfg',
      'head_width',
      'heads',
      'width',
      'pool_type',
      'no_causal_mask',
      'mean',
      'std',
      'resize_mode',
      'squash',
      'norm_kwargs',
      'eps',
    ],
  },
];

const clipConfig: Target = {
  name: 'clip-config',
  group: 'weights',
  seeds: models.map(({ weights, config, json }) => ({ ...weights, [config]: Buffer.from(textOf(json)) })),
  mutate(random) {
    const { weights, config, json, words } = random.pick(models);
    return { ...weights, [config]: mutateJson(random, json, words) };
  },
  read: openClip,
};

async function openClip(place: string): Promise<void> {
  const weights = await openClipWeights(place);
  try {
    weights.reader.take('visual.class_embedding', [64]);
  } finally {
    weights.close();
  }
}

const own = parseSafetensors(written((file) => writeSafetensors(file, clipTensors, clipMetadata(sizes, 'gelu'))));
const ownWords = [
  'crane.layout',
  'crane.sizes',
  'crane.activation',
  'crane.preprocessing',
  'nano',
  'openai',
  'gelu',
  '[]',
  'null',
  '{"vision":{"heads":0},"text":{}}',
  '{"vision":null}',
  '{"mean":[0,0,0],"std":[1,1,1],"resize":"bilinear"}',
  `{"std":${'['.repeat(9000)}${']'.repeat(9000)}}`,
  '{"vision":{"heads":1,"epsilon":-1},"text":{"heads":1,"vocabularySize":9}}',
  ...Object.keys(clipTensors),
];

const clipMetadataTarget: Target = {
  name: 'clip-metadata',
  group: 'weights',
  seeds: [one('nano.safetensors', safetensors(Buffer.from(textOf(own.header)), own.data))],
  mutate: (random) => one('nano.safetensors', mutateSafetensors(random, own, ownWords)),
  read: (folder) => openClip(path.join(folder, 'nano.safetensors')),
};

export const weightTargets: readonly Target[] = [
  torchPickle,
  torchArchive,
  torchLegacy,
  safetensorsTarget,
  promptsTorch,
  promptsSafetensors,
  sharded,
  clipConfig,
  clipMetadataTarget,
];
