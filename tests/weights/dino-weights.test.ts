import * as fs from 'node:fs';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { DinoEncoder } from '../../lib/encoders/dino';
import type { DinoSizes } from '../../lib/encoders/dino-transformer';
import { Dinov2Encoder } from '../../lib/encoders/dinov2';
import { RandomAccessFile } from '../../lib/files/byte-section';
import { dinoMetadata, openDinoWeights, type DinoFamily } from '../../lib/weights/dino-weights';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { describeWithGoldens, expectClose, golden, goldenPath, testEachGolden } from '../goldens';
import { expectNoLeak, goldenImages } from '../tensors';
import { dinoParameterShapes } from './dino-parameter-shapes';
import { op, pickle, scratchFolder, tensor, torchZip, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
let counter = 0;
const folder = (): string => {
  const place = path.join(scratch.folder, `folder-${counter++}`);
  fs.mkdirSync(place);
  return place;
};

beforeAll(async () => {
  await prepareBackend('auto');
});

const reg: DinoSizes = {
  width: 12,
  layers: 3,
  heads: 3,
  patchSize: 14,
  gridSize: 2,
  registers: 4,
  feedForward: 'mlp',
  hidden: 20,
  layerScale: true,
};
const plain: DinoSizes = { ...reg, registers: 0 };
const giant: DinoSizes = { ...reg, feedForward: 'swiglu', hidden: 16 };
const dino: DinoSizes = { ...plain, patchSize: 8, layerScale: false };

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** Values that differ between tensors and within each, exact in fp16. */
function drawn(sizes: DinoSizes): Map<string, { shape: readonly number[]; values: Float32Array }> {
  let start = 0;
  return new Map(
    [...dinoParameterShapes(sizes)].map(([name, shape]) => {
      start += 7;
      return [
        name,
        {
          shape,
          values: Float32Array.from({ length: count(shape) }, (_, index) => ((start + index * 3) % 2039) - 1000),
        },
      ];
    }),
  );
}

type Tensors = Record<string, TensorToWrite>;
type Part = readonly [name: string, shape: readonly number[], values: Float32Array];

/** A file's tensors, each of a network's parts renamed, or cut up, as a layout has it. */
function tensorsOf(
  sizes: DinoSizes,
  parts: (name: string, shape: readonly number[], values: Float32Array) => readonly Part[],
): Tensors {
  return Object.fromEntries(
    [...drawn(sizes)]
      .flatMap(([name, { shape, values }]) => parts(name, shape, values))
      .map(([name, shape, data]) => [name, { dtype: 'float32', shape, data }]),
  );
}

const renamed = (sizes: DinoSizes, rename: (name: string) => string = (name) => name): Tensors =>
  tensorsOf(sizes, (name, shape, values) => [[rename(name), shape, values]]);

/** HuggingFace's layout, spelled out here once more and apart from the library's table. */
function huggingFace(sizes: DinoSizes, isVit: boolean): Tensors {
  return tensorsOf(sizes, (name, shape, values) => {
    const joined = /^blocks\.(\d+)\.attn\.qkv\.(.*)$/.exec(name);
    if (joined) {
      const third = values.length / 3;
      return ['query', 'key', 'value'].map(
        (part, index) =>
          [
            `encoder.layer.${joined[1]}.attention.attention.${part}.${joined[2]}`,
            [(shape[0] as number) / 3, ...shape.slice(1)],
            values.slice(index * third, (index + 1) * third),
          ] as const,
      );
    }
    const theirs = name
      .replace(/^blocks/, 'encoder.layer')
      .replace('attn.proj', 'attention.output.dense')
      .replace(/ls(\d)\.gamma/, 'layer_scale$1.lambda1')
      .replace('w12', 'weights_in')
      .replace('w3', 'weights_out')
      .replace(/^norm\./, 'layernorm.')
      .replace('patch_embed.proj', 'embeddings.patch_embeddings.projection')
      .replace('pos_embed', 'embeddings.position_embeddings')
      .replace(/^(cls_token|register_tokens)/, 'embeddings.$1');
    const vit = theirs
      .replace('.norm1', '.layernorm_before')
      .replace('.norm2', '.layernorm_after')
      .replace('mlp.fc1', 'intermediate.dense')
      .replace('mlp.fc2', 'output.dense');
    return [[isVit ? vit : theirs, shape, values]];
  });
}

const extra = (name: string, ...shape: number[]): Tensors => ({
  [name]: { dtype: 'float32', shape, data: new Float32Array(count(shape)) },
});

function write(tensors: Tensors, metadata: Record<string, string> = {}, config?: object): string {
  const place = folder();
  const file = path.join(place, 'model.safetensors');
  writeSafetensors(file, tensors, metadata);
  if (config === undefined) return file;
  fs.writeFileSync(path.join(place, 'config.json'), JSON.stringify(config));
  return place;
}

async function expectSame(
  file: string,
  sizes: DinoSizes,
  family: DinoFamily,
  options: { heads?: number } = {},
): Promise<void> {
  const weights = await openDinoWeights(file, options);
  expect(weights).toMatchObject({ family, sizes, path: file });
  tf.tidy(() => {
    for (const [name, { shape, values }] of drawn(sizes)) {
      const found = weights.parameters(name, [...shape]).dataSync();
      expect([name, values.findIndex((value, index) => value !== found[index])]).toEqual([name, -1]);
    }
  });
  weights.finish();
  weights.close();
}

const heads = { heads: 3 };

describe('official state dicts', () => {
  test.each<[string, DinoSizes, DinoFamily]>([
    ['DINOv2 with registers', reg, 'dinov2'],
    ['DINOv2 without', plain, 'dinov2'],
    ['the giant', giant, 'dinov2'],
    ['DINO', dino, 'dino'],
  ])('%s', (_, sizes, family) =>
    expectSame(
      write({ ...renamed(sizes), ...(family === 'dinov2' ? extra('mask_token', 1, 12) : {}) }),
      sizes,
      family,
      heads,
    ),
  );

  test('blocks in chunks', () =>
    expectSame(
      write(
        renamed(reg, (name) =>
          name.replace(/^blocks\.(\d)/, (_, block: string) => `blocks.${Math.floor(Number(block) / 2)}.${block}`),
        ),
      ),
      reg,
      'dinov2',
      heads,
    ));

  test('of a whole training checkpoint the teacher', async () => {
    const student = tensorsOf(dino, (name, shape, values) => [
      [`student.module.backbone.${name}`, shape, values.map((value) => -value)],
    ]);
    const around = {
      ...extra('teacher.head.last_layer.weight_g', 5, 1),
      ...extra('optimizer.state.0.exp_avg', 2),
      ...extra('dino_loss.center', 1, 5),
    };
    await expectSame(
      write({ ...student, ...renamed(dino, (name) => `teacher.backbone.${name}`), ...around }),
      dino,
      'dino',
      heads,
    );
    await expectSame(
      write({ ...student, ...renamed(dino, (name) => `teacher.module.backbone.${name}`), ...around }),
      dino,
      'dino',
      heads,
    );
  });

  test('below the prefix of another program', () =>
    expectSame(write(renamed(plain, (name) => `state_dict.module.${name}`)), plain, 'dinov2', heads));

  test('as PyTorch wrote them, with the options and the learning rates of the run beside them', async () => {
    const namespace = Buffer.concat([
      op.global('argparse', 'Namespace'),
      op.code(')\x81}('),
      op.text('arch'),
      op.text('vit_small'),
      op.code('ub'),
    ]);
    const double = Buffer.concat([
      op.global('numpy', 'dtype'),
      op.code('('),
      op.text('f8'),
      op.code('\x89\x88tR('),
      op.int(3),
      op.text('<'),
      op.code('NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff'),
      op.int(0),
      op.code('tb'),
    ]);
    const bytes = Buffer.concat([
      op.global('_codecs', 'encode'),
      op.code('('),
      op.text('x'),
      op.text('latin1'),
      op.code('tR'),
    ]);
    const rate = Buffer.concat([
      op.global('numpy.core.multiarray', 'scalar'),
      op.code('('),
      double,
      bytes,
      op.code('tR'),
    ]);
    let offset = 0;
    const stored: number[] = [];
    const total = [...drawn(dino).values()].reduce((sum, { shape }) => sum + count(shape), 0);
    const items = [...drawn(dino)].flatMap(([name, { shape, values }]) => {
      const strides = shape.map((_, axis) => count(shape.slice(axis + 1)));
      const view = tensor({ count: total, offset, shape, strides });
      offset += values.length;
      stored.push(...values);
      return [op.text(`module.backbone.${name}`), view];
    });
    const content = pickle(
      op.code('}('),
      op.text('args'),
      namespace,
      op.text('lr'),
      rate,
      op.text('teacher'),
      op.code('}('),
      ...items,
      op.code('uu'),
    );
    const file = scratch.file(
      'full.pth',
      torchZip(content, [{ name: 'x/data/0', content: Buffer.from(Float32Array.from(stored).buffer) }]),
    );
    await expectSame(file, dino, 'dino', heads);
  });
});

describe('HuggingFace', () => {
  test.each<[string, DinoSizes, boolean, string, DinoFamily]>([
    ['Dinov2WithRegistersModel', reg, false, 'dinov2_with_registers', 'dinov2'],
    ['Dinov2Model', plain, false, 'dinov2', 'dinov2'],
    ['the giant', giant, false, 'dinov2_with_registers', 'dinov2'],
    ['ViTModel', dino, true, 'vit', 'dino'],
  ])('%s', async (_, sizes, isVit, modelType, family) => {
    const tensors = {
      ...huggingFace(sizes, isVit),
      ...extra('embeddings.mask_token', 1, 12),
      ...(isVit ? extra('pooler.dense.weight', 12, 12) : {}),
    };
    const config = {
      model_type: modelType,
      num_attention_heads: 3,
      patch_size: sizes.patchSize,
      image_size: 2 * sizes.patchSize + 1,
      hidden_act: 'gelu',
    };
    await expectSame(write(tensors, {}, config), sizes, family);
    // Without the configuration the tensors tell, all but the heads.
    await expectSame(write(tensors), sizes, family, heads);
    const below = Object.fromEntries(Object.entries(tensors).map(([name, value]) => [`dinov2.${name}`, value]));
    await expectSame(write({ ...below, ...extra('classifier.weight', 4, 24) }, {}, config), sizes, family);
  });

  test.each<[string, object, RegExp]>([
    ['another activation', { hidden_act: 'relu' }, /config\.json: hidden_act is "relu"; expected "gelu"/],
    ['another patch size', { patch_size: 16 }, /config\.json: patch_size is 16; expected 14, as the weights have it/],
    [
      'another grid',
      { image_size: 518 },
      /config\.json: image_size is 518; expected a size for the weights' grid of 2 patches of 14/,
    ],
    ['heads that do not divide', { num_attention_heads: 5 }, /12 channels are not divisible by 5 heads/],
  ])('%s in the configuration', async (_, change, message) => {
    const error = await weightsError(() =>
      openDinoWeights(write(huggingFace(reg, false), {}, { num_attention_heads: 3, ...change })),
    );
    expect(error.message).toMatch(message);
  });

  test('a configuration that is none', async () => {
    const place = write(huggingFace(reg, false), {}, []);
    expect((await weightsError(() => openDinoWeights(place))).code).toBe('weights/config');
    fs.writeFileSync(path.join(place, 'config.json'), '{');
    expect((await weightsError(() => openDinoWeights(place))).message).toContain('is not JSON');
  });
});

describe('which of the two it is', () => {
  const bare: DinoSizes = { ...dino, patchSize: 16 };
  test.each<[string, Tensors, DinoFamily]>([
    ['nothing that only DINOv2 has', renamed(bare), 'dino'],
    ['LayerScale', renamed({ ...bare, layerScale: true }), 'dinov2'],
    ['registers', renamed({ ...bare, registers: 1 }), 'dinov2'],
    ['a gated feed-forward', renamed({ ...bare, feedForward: 'swiglu' }), 'dinov2'],
    ['patches of 14', renamed({ ...bare, patchSize: 14 }), 'dinov2'],
    ['a mask token', { ...renamed(bare), ...extra('mask_token', 1, 12) }, 'dinov2'],
  ])('%s', async (_, tensors, family) => {
    const weights = await openDinoWeights(write(tensors), heads);
    expect(weights.family).toBe(family);
    weights.close();
  });

  test.each<[string, Tensors, DinoFamily]>([
    ['vit', huggingFace({ ...bare, patchSize: 14 }, true), 'dino'],
    ['dinov2', huggingFace(bare, false), 'dinov2'],
    ['dinov2_with_registers', huggingFace(bare, false), 'dinov2'],
  ])('a configuration of model_type %s, against what the tensors would tell', async (modelType, tensors, family) => {
    const weights = await openDinoWeights(write(tensors, {}, { model_type: modelType }), heads);
    expect(weights.family).toBe(family);
    weights.close();
  });

  test('metadata say it and the heads; the caller says it last', async () => {
    const file = write(renamed(bare), dinoMetadata('dinov2', { ...bare, heads: 4 }));
    const own = await openDinoWeights(file);
    expect(own).toMatchObject({ family: 'dinov2', sizes: { heads: 4 } });
    own.close();
    const told = await openDinoWeights(file, { family: 'dino', heads: 2 });
    expect(told).toMatchObject({ family: 'dino', sizes: { heads: 2 } });
    told.close();
    const wrong = write(renamed(bare), { ...dinoMetadata('dinov2', bare), 'crane.spatial.heads': '3.5' });
    expect((await weightsError(() => openDinoWeights(wrong))).message).toContain(
      '"3.5", which is not a number of heads',
    );
  });
});

describe('what cannot be used', () => {
  const without = (name: string): Tensors =>
    Object.fromEntries(Object.entries(renamed(reg)).filter(([key]) => key !== name));
  const instead = (name: string, ...shape: number[]): Tensors => ({ ...renamed(reg), ...extra(name, ...shape) });

  test.each<[string, Tensors, string, RegExp]>([
    ['CLIP', extra('visual.conv1.weight', 1), 'weights/not-dino', /it is CLIP; give it as backbone/],
    [
      "HuggingFace's CLIP",
      extra('vision_model.embeddings.patch_embedding.weight', 1),
      'weights/not-dino',
      /it is CLIP/,
    ],
    [
      'SAM',
      { ...extra('image_encoder.patch_embed.proj.weight', 1), ...extra('image_encoder.blocks.0.attn.rel_pos_h', 1) },
      'weights/not-dino',
      /it is a SAM image encoder/,
    ],
    ['DINOv3', extra('rope_embed.periods', 1), 'weights/not-dino', /it is DINOv3/],
    ['a ResNet', extra('layer1.0.conv1.weight', 1), 'weights/not-dino', /it is a ResNet/],
    ['prompts', extra('prompt_learner.ctx_pos', 1), 'weights/not-dino', /it holds trained prompts/],
    [
      'timm',
      { ...extra('reg_token', 1), ...extra('patch_embed.proj.weight', 1) },
      'weights/not-dino',
      /names are those of timm/,
    ],
    ['anything else', extra('weight', 1), 'weights/not-dino', /it holds 1 tensor, weight/],
    ['no position embedding', without('pos_embed'), 'weights/missing', /lacks pos_embed/],
    [
      'no blocks',
      Object.fromEntries(Object.entries(renamed(reg)).filter(([key]) => !key.startsWith('blocks.'))),
      'weights/missing',
      /lacks blocks\.0\.mlp\.fc1\.weight/,
    ],
    [
      'a grid that is not square',
      instead('pos_embed', 1, 7, 12),
      'weights/sizes',
      /7 rows, which is not one more than a square grid/,
    ],
    [
      'patches that are not square',
      instead('patch_embed.proj.weight', 12, 3, 14, 7),
      'weights/sizes',
      /square patches of three colours/,
    ],
    ['a position embedding of another rank', instead('pos_embed', 5, 12), 'weights/shape', /3 axes, none empty/],
  ])('%s', async (_, tensors, code, message) => {
    const close = jest.spyOn(RandomAccessFile.prototype, 'close');
    const error = await weightsError(() => openDinoWeights(write(tensors), heads));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(close).toHaveBeenCalledTimes(1);
    close.mockRestore();
  });

  test('heads that do not divide, which one per 64 channels would be', async () => {
    expect((await weightsError(() => openDinoWeights(write(renamed(reg))))).message).toMatch(
      /12 channels are not divisible by 0\.1875 heads; give the number/,
    );
  });

  test('missing and misshapen tensors of the blocks are named when the encoder is built, and nothing is kept', async () => {
    for (const [tensors, message] of [
      [without('blocks.1.norm1.weight'), /lacks blocks\.1\.norm1\.weight of shape \[12\]/],
      [without('blocks.2.mlp.fc2.bias'), /lacks blocks\.2\.mlp\.fc2\.bias/],
      [
        instead('blocks.1.attn.qkv.weight', 36, 11),
        /blocks\.1\.attn\.qkv\.weight has shape \[36, 11\], but \[36, 12\] is needed/,
      ],
    ] as const) {
      const weights = await openDinoWeights(write(tensors), heads);
      await expectNoLeak(async () => {
        const made: tf.LayerVariable[] = [];
        const build = (): unknown =>
          new Dinov2Encoder({
            sizes: weights.sizes,
            parameters: weights.parameters,
            onParameter: (parameter) => made.push(parameter),
          });
        expect((await weightsError(build)).message).toMatch(message);
        made.forEach((parameter) => parameter.dispose());
      });
      weights.close();
    }
  });

  test('what is left over is named at the end', async () => {
    const weights = await openDinoWeights(write({ ...renamed(dino), ...extra('blocks.0.extra', 3) }), heads);
    new DinoEncoder({ sizes: weights.sizes, parameters: weights.parameters }).dispose();
    expect((await weightsError(() => weights.finish())).message).toContain('blocks.0.extra [3]');
    weights.close();
  });
});

describeWithGoldens('files of the reference', () => {
  testEachGolden(
    [
      ['vfm_dinov2.safetensors', 'dinov2', 1e-4],
      // Fp16 weights move the features by what fp16 rounds off.
      ['vfm_dinov2_f16.pth', 'dinov2', 0.02],
      ['vfm_dino.safetensors', 'dino', 1e-4],
    ],
    '%s: family, sizes and features',
    async (file, family, atol) => {
      const weights = await openDinoWeights(goldenPath(file), { heads: 3 });
      const isV2 = family === 'dinov2';
      expect(weights).toMatchObject({
        family,
        layout: 'official',
        sizes: {
          width: 48,
          layers: 3,
          heads: 3,
          patchSize: isV2 ? 14 : 8,
          gridSize: 6,
          registers: isV2 ? 4 : 0,
          feedForward: 'mlp',
          hidden: 192,
          layerScale: isV2,
        },
      });
      const encoder = new (isV2 ? Dinov2Encoder : DinoEncoder)({
        sizes: weights.sizes,
        parameters: weights.parameters,
      });
      weights.finish();
      weights.close();
      tf.tidy(() => {
        const features = encoder.forward(goldenImages('dattn.safetensors#vfm_input'));
        expectClose(
          tf.transpose(features, [0, 3, 1, 2]).dataSync(),
          golden(`dattn.safetensors#${family}.features`).data,
          atol,
        );
      });
      encoder.dispose();
    },
  );

  testEachGolden(
    [
      ['vfm_sam.safetensors', /SAM image encoder/],
      ['clip_tiny.safetensors', /give it as backbone/],
    ],
    '%s is refused',
    async (file, message) => {
      expect((await weightsError(() => openDinoWeights(goldenPath(file)))).message).toMatch(message);
    },
  );
});
