import * as fs from 'node:fs';
import * as path from 'node:path';
import { convertWeights } from '../../cli/convert-weights';
import { describeClip } from '../../cli/describe-clip';
import { clipParameterShapes } from '../../lib/weights/clip-keys';
import { openClipWeights } from '../../lib/weights/clip-weights';
import { readPromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

type Tensors = Record<string, TensorToWrite>;

const zeros = (...shape: number[]): TensorToWrite => ({
  dtype: 'float32',
  shape,
  data: new Float32Array(shape.reduce((size, axis) => size * axis, 1)),
});
const small = { width: 64, layers: 1, heads: 1 };
const network: Tensors = Object.fromEntries(
  [
    ...clipParameterShapes({
      embedDimension: 8,
      vision: { ...small, patchSize: 2, gridSize: 2 },
      text: { ...small, contextLength: 4, vocabularySize: 10 },
    }),
  ].map(([name, shape]) => [name, zeros(...shape)]),
);
const below = (prefix: string, tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}${name}`, tensor]));

let counter = 0;
function fileOf(tensors: Tensors): string {
  const file = path.join(scratch.folder, `weights-${counter++}.safetensors`);
  writeSafetensors(file, tensors, {});
  return file;
}

test.each<[string, Tensors, RegExp]>([
  [
    'a model and its running mean',
    { ...below('model.', network), ...below('model_ema.', network) },
    /holds 2 CLIPs \(at model\., model_ema\.\); save the intended one by itself$/,
  ],
  [
    'one at the top and one below',
    { ...network, ...below('teacher.', network) },
    /holds 2 CLIPs \(at (the top, teacher\.|teacher\., the top)\)/,
  ],
  [
    "OpenAI's names and HuggingFace's",
    { ...network, ...below('clip.', { 'vision_model.embeddings.patch_embedding.weight': zeros(8, 3, 2, 2) }) },
    /holds 2 CLIPs \(at clip\., the top\)/,
  ],
])('of two networks none is chosen in silence: %s', async (_, tensors, message) => {
  expect(await weightsError(() => openClipWeights(fileOf(tensors)))).toMatchObject({
    code: 'weights/several',
    message: expect.stringMatching(message) as unknown,
  });
});

test('of two sets of prompts none is chosen in silence', async () => {
  const prompts = { ctx_pos: zeros(1, 1, 2, 4), ctx_neg: zeros(1, 1, 2, 4) };
  const error = await weightsError(() =>
    readPromptCheckpoint(fileOf({ ...below('best.', prompts), ...below('last.', prompts) })),
  );
  expect(error).toMatchObject({
    code: 'weights/several',
    message: expect.stringMatching(/holds 2 sets of prompts \(best\.ctx_pos, last\.ctx_pos\)/) as unknown,
  });
});

test.each<[string, Tensors, RegExp]>([
  [
    'a layer norm that is missing',
    Object.fromEntries(Object.entries(network).filter(([name]) => name !== 'visual.ln_pre.bias')),
    /lacks visual\.ln_pre\.bias of shape \[64\]/,
  ],
  [
    'a shape of another network',
    { ...network, 'transformer.resblocks.0.mlp.c_proj.bias': zeros(65) },
    /mlp\.c_proj\.bias has shape \[65\], but \[64\] is needed/,
  ],
])(
  'a CLIP of which no network can be built is told by inspecting it, and not converted: %s',
  async (_, tensors, message) => {
    const file = fileOf(tensors);
    expect(await describeClip(file, {})).toEqual({ problem: expect.stringMatching(message) as unknown });
    const to = path.join(scratch.folder, 'converted.safetensors');
    expect((await weightsError(() => convertWeights(file, to))).message).toMatch(message);
    expect(fs.existsSync(to)).toBe(false);
  },
);

test('inspecting tells of tensors that the network has no place for, as using it does', async () => {
  expect(await describeClip(fileOf({ ...network, 'visual.extra': zeros(2) }), {})).toEqual({
    problem: expect.stringMatching(/holds a tensor that this network does not use: visual\.extra \[2\]$/) as unknown,
  });
  expect(await describeClip(fileOf({ ...network, logit_scale: zeros(1), logit_bias: zeros(1) }), {})).toMatchObject({
    sizes: { embedDimension: 8 },
  });
});

test('prompts are not stored as another type than the one asked for', async () => {
  const prompts = fileOf({ 'context.normal': zeros(2, 4), 'context.anomalous': zeros(2, 4) });
  const to = path.join(scratch.folder, 'prompts-half.safetensors');
  await expect(convertWeights(prompts, to, { dtype: 'float16' })).rejects.toMatchObject({
    code: 'usage/dtype',
    message: '--dtype float16: prompts are stored as float32; leave the option out',
  });
  expect(fs.existsSync(to)).toBe(false);
  expect((await convertWeights(prompts, to, { dtype: 'float32' })).tensors).toBe(2);
});
