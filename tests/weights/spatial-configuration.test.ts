import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { convertWeights } from '../../cli/convert-weights';
import { prepareBackend } from '../../lib/backend';
import { CLIP_MEAN, CLIP_STD } from '../../lib/image/normalisation';
import { spatialInput } from '../../lib/encoders/spatial-input';
import { openSpatial } from '../../lib/methods/spatial';
import { huggingFaceDinoNames } from '../../lib/weights/dino-keys';
import { openDinoWeights } from '../../lib/weights/dino-weights';
import { openSamWeights } from '../../lib/weights/sam-weights';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { seededNormal } from '../../lib/weights/seeded';
import { expectClose } from '../goldens';
import { scratchFolder, weightsError } from './archives';
import { dinoParameterShapes } from './dino-parameter-shapes';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
beforeAll(async () => {
  await prepareBackend('auto');
});

type Tensors = Record<string, TensorToWrite>;

let counter = 0;
function folderOf(tensors: Tensors, files: Readonly<Record<string, object>>): string {
  const place = path.join(scratch.folder, `folder-${counter++}`);
  fs.mkdirSync(place);
  writeSafetensors(path.join(place, 'model.safetensors'), tensors, { format: 'pt' });
  for (const [name, content] of Object.entries(files))
    fs.writeFileSync(path.join(place, name), JSON.stringify(content));
  return place;
}

function drawn(name: string, shape: readonly number[]): TensorToWrite {
  const next = seededNormal(name);
  return {
    dtype: 'float32',
    shape,
    data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => 0.3 * next()),
  };
}

const sizes = {
  width: 24,
  layers: 2,
  heads: 3,
  patchSize: 14,
  gridSize: 2,
  registers: 4,
  feedForward: 'mlp',
  hidden: 96,
  layerScale: true,
} as const;
const vit = { ...sizes, patchSize: 8, registers: 0, layerScale: false } as const;

function dinoTensors(of: typeof sizes | typeof vit): Tensors {
  const names = huggingFaceDinoNames('', of === vit);
  return Object.fromEntries(
    [...dinoParameterShapes(of)].flatMap(([name, shape]) => {
      const { from } = names(name);
      return from.map((stored): [string, TensorToWrite] => [
        stored,
        drawn(stored, [(shape[0] as number) / from.length, ...shape.slice(1)]),
      ]);
    }),
  );
}

/** What facebook/dinov2-with-registers-base and facebook/dino-vitb8 say, with these sizes. */
const published = {
  architectures: ['Dinov2WithRegistersModel'],
  attention_probs_dropout_prob: 0,
  apply_layernorm: true,
  drop_path_rate: 0,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0,
  hidden_size: 24,
  image_size: 28,
  initializer_range: 0.02,
  interpolate_antialias: true,
  interpolate_offset: 0,
  layer_norm_eps: 1e-6,
  layerscale_value: 1,
  mlp_ratio: 4,
  model_type: 'dinov2_with_registers',
  num_attention_heads: 3,
  num_channels: 3,
  num_hidden_layers: 2,
  num_register_tokens: 4,
  out_features: ['stage2'],
  out_indices: [2],
  patch_size: 14,
  qkv_bias: true,
  reshape_hidden_states: true,
  stage_names: ['stem', 'stage1', 'stage2'],
  torch_dtype: 'float32',
  transformers_version: '4.48.0.dev0',
  use_swiglu_ffn: false,
};
const publishedVit = {
  architectures: ['ViTModel'],
  attention_probs_dropout_prob: 0,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0,
  hidden_size: 24,
  image_size: 16,
  initializer_range: 0.02,
  intermediate_size: 96,
  layer_norm_eps: 1e-12,
  model_type: 'vit',
  num_attention_heads: 3,
  num_channels: 3,
  num_hidden_layers: 2,
  patch_size: 8,
  qkv_bias: true,
  transformers_version: '4.6.0',
};
const processor = {
  crop_size: { height: 224, width: 224 },
  do_center_crop: true,
  do_convert_rgb: true,
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  image_mean: [0.485, 0.456, 0.406],
  image_processor_type: 'BitImageProcessor',
  image_std: [0.229, 0.224, 0.225],
  resample: 3,
  rescale_factor: 0.00392156862745098,
  size: { shortest_edge: 256 },
};
const HALF = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };

describe("DINOv2's and DINO's configurations", () => {
  test.each<[string, typeof sizes | typeof vit, object, object, object]>([
    [
      'DINOv2 as it is published',
      sizes,
      published,
      processor,
      { family: 'dinov2', sizes, normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } },
    ],
    [
      'DINO as it is published',
      vit,
      publishedVit,
      {
        do_normalize: true,
        do_resize: true,
        image_mean: [0.485, 0.456, 0.406],
        image_std: [0.229, 0.224, 0.225],
        size: 224,
      },
      { family: 'dino', sizes: { ...vit, epsilon: 1e-12 } },
    ],
    [
      'another mean',
      vit,
      publishedVit,
      { ...processor, ...HALF },
      { normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } },
    ],
    ['another epsilon', sizes, { ...published, layer_norm_eps: 0.01 }, processor, { sizes: { epsilon: 0.01 } }],
    [
      'no normalisation',
      sizes,
      published,
      { ...processor, do_normalize: false },
      { normalisation: { mean: [0, 0, 0], std: [1, 1, 1] } },
    ],
  ])('%s', async (_, of, config, beside, expected) => {
    const weights = await openDinoWeights(
      folderOf(dinoTensors(of), { 'config.json': config, 'preprocessor_config.json': beside }),
    );
    expect(weights).toMatchObject(expected);
    weights.close();
  });

  test.each<[object, object, RegExp]>([
    [{ qkv_bias: false }, {}, /qkv_bias is false; expected true/],
    [{ use_swiglu_ffn: true }, {}, /use_swiglu_ffn is true; expected false, as the weights have it/],
    [{ num_register_tokens: 0 }, {}, /num_register_tokens is 0; expected 4/],
    [{ hidden_act: 'relu' }, {}, /hidden_act is "relu"/],
    [{ layer_norm_eps: 0 }, {}, /layer_norm_eps is 0; expected a number above 0/],
    [{ num_hidden_layers: 1 }, {}, /num_hidden_layers is 1; expected 2/],
    [{ mlp_ratio: 2 }, {}, /mlp_ratio is 2; expected 4/],
    [{ interpolate_antialias: false }, {}, /interpolate_antialias is false/],
    [{ model_type: 'vit_mae' }, {}, /model_type is "vit_mae"/],
    [{ use_rope: true }, {}, /use_rope is true; the field is unknown/],
    [{}, { image_std: [0, 1, 1] }, /image_std is \[0,1,1\]/],
    [{}, { image_mean: [0.5] }, /image_mean is \[0\.5\]/],
  ])('%j with %j is refused by name', async (change, beside, message) => {
    const folder = folderOf(dinoTensors(sizes), {
      'config.json': { ...published, ...change },
      'preprocessor_config.json': { ...processor, ...beside },
    });
    expect((await weightsError(() => openDinoWeights(folder))).message).toMatch(message);
  });
});

const sam = {
  width: 8,
  layers: 2,
  heads: 2,
  patchSize: 2,
  gridSize: 5,
  windowSize: 3,
  globalBlocks: [1],
  channels: 6,
} as const;

function samTensors(): Tensors {
  const { width, channels } = sam;
  const tensors: Tensors = {};
  const put = (name: string, ...shape: number[]): void => void (tensors[`vision_encoder.${name}`] = drawn(name, shape));
  put('pos_embed', 1, 5, 5, width);
  put('patch_embed.projection.weight', width, 3, 2, 2);
  put('patch_embed.projection.bias', width);
  put('neck.conv1.weight', channels, width, 1, 1);
  put('neck.conv2.weight', channels, channels, 3, 3);
  for (const name of ['neck.layer_norm1', 'neck.layer_norm2'])
    ['weight', 'bias'].forEach((kind) => put(`${name}.${kind}`, channels));
  for (const layer of [0, 1]) {
    const rows = layer === 1 ? 9 : 5;
    for (const name of ['attn.rel_pos_h', 'attn.rel_pos_w']) put(`layers.${layer}.${name}`, rows, width / 2);
    for (const name of ['layer_norm1', 'layer_norm2'])
      ['weight', 'bias'].forEach((kind) => put(`layers.${layer}.${name}.${kind}`, width));
    for (const [name, outputs, inputs] of [
      ['attn.qkv', 24, 8],
      ['attn.proj', 8, 8],
      ['mlp.lin1', 32, 8],
      ['mlp.lin2', 8, 32],
    ] as const) {
      put(`layers.${layer}.${name}.weight`, outputs, inputs);
      put(`layers.${layer}.${name}.bias`, outputs);
    }
  }
  return tensors;
}

/** What facebook/sam-vit-base says, with these sizes; intermediate_size and projection_dim are read by nothing. */
const publishedSam = {
  architectures: ['SamModel'],
  initializer_range: 0.02,
  mask_decoder_config: { hidden_size: 256 },
  model_type: 'sam',
  prompt_encoder_config: { hidden_size: 256 },
  torch_dtype: 'float32',
  vision_config: {
    _name_or_path: '',
    attention_dropout: 0,
    chunk_size_feed_forward: 0,
    dropout: 0,
    global_attn_indexes: [1],
    hidden_act: 'gelu',
    hidden_size: 8,
    id2label: { 0: 'LABEL_0' },
    image_size: 10,
    initializer_factor: 1,
    initializer_range: 1e-10,
    intermediate_size: 6144,
    layer_norm_eps: 1e-6,
    mlp_dim: 32,
    mlp_ratio: 4,
    model_type: '',
    num_attention_heads: 2,
    num_channels: 3,
    num_hidden_layers: 2,
    num_pos_feats: 128,
    output_channels: 6,
    patch_size: 2,
    projection_dim: 512,
    pruned_heads: {},
    qkv_bias: true,
    use_abs_pos: true,
    use_rel_pos: true,
    window_size: 3,
  },
};
const samProcessor = {
  do_convert_rgb: true,
  do_normalize: true,
  do_pad: true,
  do_rescale: true,
  do_resize: true,
  image_mean: [0.485, 0.456, 0.406],
  image_processor_type: 'SamImageProcessor',
  image_std: [0.229, 0.224, 0.225],
  pad_size: { height: 1024, width: 1024 },
  processor_class: 'SamProcessor',
  resample: 2,
  rescale_factor: 0.00392156862745098,
  size: { longest_edge: 1024 },
};

describe("SAM's configuration", () => {
  const withVision = (change: object): object => ({
    ...publishedSam,
    vision_config: { ...publishedSam.vision_config, ...change },
  });

  test('as it is published, and with another epsilon and mean', async () => {
    const usual = await openSamWeights(
      folderOf(samTensors(), { 'config.json': publishedSam, 'preprocessor_config.json': samProcessor }),
    );
    expect(usual.sizes).toEqual(sam);
    expect(usual.normalisation).toEqual({ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] });
    usual.close();
    const other = await openSamWeights(
      folderOf(samTensors(), {
        'config.json': withVision({ layer_norm_eps: 0.01 }),
        'preprocessor_config.json': { ...samProcessor, ...HALF },
      }),
    );
    expect(other).toMatchObject({
      sizes: { ...sam, epsilon: 0.01 },
      normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    });
    other.close();
  });

  test.each<[object, RegExp]>([
    [withVision({ qkv_bias: false }), /vision_config\.qkv_bias is false/],
    [withVision({ use_rel_pos: false }), /use_rel_pos is false/],
    [withVision({ window_size: 14 }), /window_size is 14; expected 3/],
    [withVision({ global_attn_indexes: [0] }), /global_attn_indexes is \[0\]; expected \[1\]/],
    [withVision({ hidden_act: 'relu' }), /hidden_act is "relu"/],
    [{ ...publishedSam, model_type: 'sam_hq' }, /model_type is "sam_hq"/],
  ])('%j is refused by name', async (config, message) => {
    expect(
      (await weightsError(() => openSamWeights(folderOf(samTensors(), { 'config.json': config })))).message,
    ).toMatch(message);
  });
});

/** Features of a grey ramp, as the second model of a folder or file gives them. */
async function featuresOf(weights: string): Promise<Float32Array> {
  const spatial = await openSpatial({ weights });
  const encoder = spatial.build();
  spatial.close();
  const features = tf.tidy(() => {
    const images = tf.reshape(tf.linspace(-1, 1, 28 * 28 * 3), [1, 28, 28, 3]) as tf.Tensor4D;
    const input = spatialInput(
      images,
      { mean: CLIP_MEAN, std: CLIP_STD },
      encoder.inputSide(28),
      encoder.normalisation,
    );
    return (encoder.apply(input) as tf.Tensor).dataSync() as Float32Array;
  });
  encoder.dispose();
  return features;
}

test.each<[string, () => Tensors, object, object]>([
  ['DINOv2', () => dinoTensors(sizes), { ...published, layer_norm_eps: 0.05 }, published],
  ['DINO', () => dinoTensors(vit), { ...publishedVit, layer_norm_eps: 0.05 }, publishedVit],
  [
    'SAM',
    samTensors,
    { ...publishedSam, vision_config: { ...publishedSam.vision_config, layer_norm_eps: 0.05 } },
    publishedSam,
  ],
])('a converted %s computes what the folder did, epsilon and mean included', async (_, tensors, config, usual) => {
  const folder = folderOf(tensors(), { 'config.json': config, 'preprocessor_config.json': { ...processor, ...HALF } });
  const before = await featuresOf(folder);
  const file = path.join(scratch.folder, `converted-${counter++}.safetensors`);
  await convertWeights(folder, file);
  expectClose(await featuresOf(file), before, 0);
  const differs = (other: Float32Array): boolean =>
    other.some((value, at) => Math.abs(value - (before[at] as number)) > 1e-4);
  expect(
    differs(
      await featuresOf(
        folderOf(tensors(), { 'config.json': usual, 'preprocessor_config.json': { ...processor, ...HALF } }),
      ),
    ),
  ).toBe(true);
  expect(
    differs(await featuresOf(folderOf(tensors(), { 'config.json': config, 'preprocessor_config.json': processor }))),
  ).toBe(true);
});

test("a CLIP input becomes a second model's by its own mean and deviation", () => {
  // Levels 0 and 1 in CLIP's normalisation; (0 - 0.5) / 0.25 = -2 and (1 - 0.5) / 0.25 = 2.
  const images = tf.tensor4d(
    [0, 1].flatMap((level) => CLIP_MEAN.map((mean, colour) => (level - mean) / (CLIP_STD[colour] as number))),
    [1, 1, 2, 3],
  );
  const square = tf.concat([images, images], 1) as tf.Tensor4D;
  const input = spatialInput(square, { mean: CLIP_MEAN, std: CLIP_STD }, 2, {
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
  });
  expectClose(input.dataSync(), [-2, -2, -2, 2, 2, 2, -2, -2, -2, 2, 2, 2], 1e-5);
  tf.dispose([images, square, input]);
});
