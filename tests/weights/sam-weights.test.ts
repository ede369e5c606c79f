import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { SamEncoder, type SamSizes } from '../../lib/encoders/sam';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { openSamWeights } from '../../lib/weights/sam-weights';
import { seededNormal } from '../../lib/weights/seeded';
import { expectClose, goldenPath, testEachGolden, testWithGoldens } from '../goldens';
import { expectNoLeak, goldenParameters } from '../tensors';
import { checkpoint, scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
beforeAll(async () => {
  await prepareBackend('auto');
});

const small: SamSizes = {
  width: 8,
  layers: 3,
  heads: 2,
  patchSize: 2,
  gridSize: 5,
  windowSize: 3,
  globalBlocks: [0, 2],
  channels: 6,
};

type Shapes = Record<string, readonly number[]>;

/** What the official file holds, written out apart from the library's own reading. */
function officialShapes({
  width,
  layers,
  heads,
  patchSize,
  gridSize,
  windowSize,
  globalBlocks,
  channels,
}: SamSizes): Shapes {
  const shapes: Shapes = {
    'image_encoder.pos_embed': [1, gridSize, gridSize, width],
    'image_encoder.patch_embed.proj.weight': [width, 3, patchSize, patchSize],
    'image_encoder.patch_embed.proj.bias': [width],
    'image_encoder.neck.0.weight': [channels, width, 1, 1],
    'image_encoder.neck.1.weight': [channels],
    'image_encoder.neck.1.bias': [channels],
    'image_encoder.neck.2.weight': [channels, channels, 3, 3],
    'image_encoder.neck.3.weight': [channels],
    'image_encoder.neck.3.bias': [channels],
  };
  for (let layer = 0; layer < layers; layer++) {
    const place = `image_encoder.blocks.${layer}`;
    const rows = 2 * (globalBlocks.includes(layer) ? gridSize : windowSize) - 1;
    for (const norm of ['norm1', 'norm2']) {
      shapes[`${place}.${norm}.weight`] = [width];
      shapes[`${place}.${norm}.bias`] = [width];
    }
    shapes[`${place}.attn.rel_pos_h`] = shapes[`${place}.attn.rel_pos_w`] = [rows, width / heads];
    for (const [name, outputs, inputs] of [
      ['attn.qkv', 3 * width, width],
      ['attn.proj', width, width],
      ['mlp.lin1', 4 * width, width],
      ['mlp.lin2', width, 4 * width],
    ] as const) {
      shapes[`${place}.${name}.weight`] = [outputs, inputs];
      shapes[`${place}.${name}.bias`] = [outputs];
    }
  }
  return shapes;
}

/** The rest of a whole SAM, as far as it matters here. */
const REST: Shapes = {
  pixel_mean: [3, 1, 1],
  pixel_std: [3, 1, 1],
  'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix': [2, 4],
  'prompt_encoder.point_embeddings.0.weight': [1, 6],
  'mask_decoder.transformer.layers.0.self_attn.q_proj.weight': [6, 6],
  'mask_decoder.iou_token.weight': [1, 6],
};

/** The names of HuggingFace's SamModel. */
function huggingFaceName(name: string): string {
  const neck = ['conv1', 'layer_norm1', 'conv2', 'layer_norm2'];
  return name
    .replace('image_encoder.', 'vision_encoder.')
    .replace('patch_embed.proj.', 'patch_embed.projection.')
    .replace(/neck\.(\d)/, (_, index: string) => `neck.${neck[Number(index)]}`)
    .replace(/blocks\.(\d+)/, 'layers.$1')
    .replace(/\.norm(\d)\./, '.layer_norm$1.');
}

let counter = 0;
function write(
  shapes: Shapes,
  { rename = (name: string) => name, dtype = 'float32' as 'float32' | 'float16', change = (_: Shapes) => {} } = {},
): string {
  const changed = { ...shapes };
  change(changed);
  const tensors = Object.entries(changed).map(([name, shape]): [string, TensorToWrite] => {
    const next = seededNormal(name);
    return [
      rename(name),
      {
        dtype,
        shape,
        data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => 0.3 * next()),
      },
    ];
  });
  const target = path.join(scratch.folder, `sam-${counter++}.safetensors`);
  writeSafetensors(target, Object.fromEntries(tensors), {});
  return target;
}

/** Builds the network as its users do, and lets it encode a drawn image. */
async function featuresOf(file: string): Promise<Float32Array> {
  return expectNoLeak(async () => {
    const weights = await openSamWeights(file);
    const model = new SamEncoder({ sizes: weights.sizes, parameters: weights.parameters });
    weights.finish();
    weights.close();
    const side = model.inputSide();
    const features = tf.tidy(
      () => model.forward(tf.randomUniform([1, side, side, 3], -1, 1, 'float32', 5)).dataSync() as Float32Array,
    );
    model.dispose();
    return features;
  });
}

const official = officialShapes(small);

test('every size is read off the tensors', async () => {
  const weights = await openSamWeights(write({ ...official, ...REST }));
  expect(weights).toMatchObject({ family: 'sam', layout: 'official', sizes: small });
  weights.close();
  const windowsOnly = await openSamWeights(write(officialShapes({ ...small, globalBlocks: [] })));
  expect(windowsOnly.sizes).toEqual({ ...small, globalBlocks: [] });
  windowsOnly.close();
  const overallOnly = await openSamWeights(write(officialShapes({ ...small, globalBlocks: [0, 1, 2] })));
  expect(overallOnly.sizes).toEqual({ ...small, windowSize: 0, globalBlocks: [0, 1, 2] });
  overallOnly.close();
});

test('the same network in every layout gives the same features', async () => {
  const alone = await featuresOf(write(official));
  expect(alone.length).toBe(5 * 5 * 6);
  const whole = await featuresOf(write({ ...official, ...REST }));
  const trained = await featuresOf(
    write(
      { ...official, ...REST, 'optimizer.steps': [1] },
      { rename: (name) => (name.startsWith('optimizer') ? name : `module.${name}`) },
    ),
  );
  const bare = await featuresOf(write(official, { rename: (name) => name.replace('image_encoder.', '') }));
  const huggingFace = write(
    { ...official, ...REST, 'shared_image_embedding.positional_embedding': [2, 4] },
    { rename: huggingFaceName },
  );
  for (const features of [whole, trained, bare, await featuresOf(huggingFace)]) expectClose(features, alone, 0);
  const weights = await openSamWeights(huggingFace);
  expect(weights).toMatchObject({ layout: 'huggingface', sizes: small });
  weights.close();
});

test('a HuggingFace folder', async () => {
  const folder = path.join(scratch.folder, 'hf');
  fs.mkdirSync(folder);
  fs.renameSync(write({ ...official, ...REST }, { rename: huggingFaceName }), path.join(folder, 'model.safetensors'));
  expectClose(await featuresOf(folder), await featuresOf(write(official)), 0);
});

test('half precision', async () => {
  expectClose(await featuresOf(write(official, { dtype: 'float16' })), await featuresOf(write(official)), 0.02);
});

testWithGoldens('vfm_sam.safetensors')('the goldens file, value by value', async () => {
  const weights = await openSamWeights(goldenPath('vfm_sam.safetensors'));
  const sizes = {
    width: 32,
    layers: 3,
    heads: 2,
    patchSize: 64,
    gridSize: 16,
    windowSize: 7,
    globalBlocks: [1],
    channels: 24,
  };
  expect(weights.sizes).toEqual(sizes);
  const plain = goldenParameters('vfm_sam.safetensors');
  await expectNoLeak(() =>
    tf.tidy(() => {
      for (const [name, shape] of Object.entries(officialShapes(sizes))) {
        expectClose(weights.parameters(name, [...shape]).dataSync(), plain(name, [...shape]).dataSync(), 0);
      }
    }),
  );
  weights.finish();
  weights.close();
});

describe('files that are something else', () => {
  testEachGolden(
    [
      ['vfm_dinov2.safetensors', /name it as dinov2/],
      ['vfm_dino.safetensors', /name it as dino or dinov2/],
      ['clip_tiny.safetensors', /CLIP; give it as backbone/],
      ['clip_tiny_hf.safetensors', /CLIP; give it as backbone/],
      ['prompts_tiny.pth', /give it as prompts/],
      ['formats.safetensors', /it holds 4 tensors, such as/],
    ],
    '%s',
    async (file, message) => {
      const error = await weightsError(() => openSamWeights(goldenPath(file)));
      expect(error.code).toBe('weights/not-sam');
      expect(error.message).toMatch(message);
    },
  );

  test.each<[string, Shapes, RegExp]>([
    [
      'SAM 2',
      { 'image_encoder.trunk.blocks.0.attn.qkv.weight': [6, 2], 'mask_decoder.iou_token.weight': [1, 6] },
      /it is SAM 2/,
    ],
    [
      'MobileSAM',
      { 'image_encoder.layers.1.blocks.0.attn.qkv.weight': [6, 2], 'mask_decoder.iou_token.weight': [1, 6] },
      /MobileSAM/,
    ],
    ['SAM without its image encoder', REST, /a part of SAM/],
  ])('%s', async (_, shapes, message) => {
    const error = await weightsError(() => openSamWeights(write(shapes)));
    expect(error.code).toBe('weights/not-sam');
    expect(error.message).toMatch(message);
  });

  test('a torch archive of other tensors, and no file', async () => {
    expect(
      (await weightsError(() => openSamWeights(scratch.file('other.pth', checkpoint([{ name: 'a.weight' }]))))).code,
    ).toBe('weights/not-sam');
    expect((await weightsError(() => openSamWeights(path.join(scratch.folder, 'none.pth')))).code).toBe(
      'weights/not-found',
    );
  });
});

test.each<[string, string, RegExp, (shapes: Shapes) => void]>([
  [
    'a missing tensor',
    'weights/missing',
    /lacks image_encoder\.blocks\.1\.mlp\.lin2\.bias of shape \[8\]/,
    (all) => delete all['image_encoder.blocks.1.mlp.lin2.bias'],
  ],
  [
    'a missing position embedding',
    'weights/missing',
    /lacks image_encoder\.pos_embed/,
    (all) => delete all['image_encoder.pos_embed'],
  ],
  [
    'a table missing in the middle',
    'weights/missing',
    /blocks\.1\.attn\.rel_pos_h/,
    (all) => delete all['image_encoder.blocks.1.attn.rel_pos_h'],
  ],
  [
    'a wrong shape',
    'weights/shape',
    /neck\.2\.weight has shape \[6, 6, 1, 1\], but \[6, 6, 3, 3\]/,
    (all) => (all['image_encoder.neck.2.weight'] = [6, 6, 1, 1]),
  ],
  [
    'tables of different lengths',
    'weights/shape',
    /rel_pos_w has shape \[5, 4\], but \[9, 4\]/,
    (all) => (all['image_encoder.blocks.0.attn.rel_pos_w'] = [5, 4]),
  ],
  [
    'too few axes',
    'weights/shape',
    /pos_embed has shape \[26, 8\]; 4 axes/,
    (all) => (all['image_encoder.pos_embed'] = [26, 8]),
  ],
  [
    'an empty axis',
    'weights/shape',
    /rel_pos_h has shape \[5, 0\]/,
    (all) => (all['image_encoder.blocks.1.attn.rel_pos_h'] = [5, 0]),
  ],
  [
    'windows of two sizes',
    'weights/sizes',
    /rel_pos_h has 9, 5, 3 rows in different blocks; 9 for/,
    (all) => (all['image_encoder.blocks.2.attn.rel_pos_h'] = [3, 4]),
  ],
  [
    'a table with an even number of rows',
    'weights/sizes',
    /rel_pos_h has 9, 6 rows/,
    (all) => (all['image_encoder.blocks.1.attn.rel_pos_h'] = [6, 4]),
  ],
  [
    'a grid that is not square',
    'weights/sizes',
    /grid of 5 x 4 patches/,
    (all) => (all['image_encoder.pos_embed'] = [1, 5, 4, 8]),
  ],
  [
    'patches that are not square',
    'weights/sizes',
    /\[8, 3, 2, 4\]; square patches/,
    (all) => (all['image_encoder.patch_embed.proj.weight'] = [8, 3, 2, 4]),
  ],
  [
    'heads that do not divide the width',
    'weights/sizes',
    /heads of 3 channels .* width of 8/,
    (all) => (all['image_encoder.blocks.0.attn.rel_pos_h'] = [9, 3]),
  ],
  [
    'a tensor that no place is for',
    'weights/surplus',
    /image_encoder\.blocks\.1\.ls1\.gamma \[8\]/,
    (all) => (all['image_encoder.blocks.1.ls1.gamma'] = [8]),
  ],
])('%s', async (_, code, message, change) => {
  const file = write({ ...official, ...REST }, { change });
  const made: tf.LayerVariable[] = [];
  const before = tf.memory().numTensors;
  const error = await weightsError(async () => {
    const weights = await openSamWeights(file);
    try {
      new SamEncoder({
        sizes: weights.sizes,
        parameters: weights.parameters,
        onParameter: (parameter) => made.push(parameter),
      });
      weights.finish();
    } finally {
      weights.close();
    }
  });
  made.forEach((parameter) => parameter.dispose());
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  expect(tf.memory().numTensors).toBe(before);
});
