import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { clipParameterShapes, TOKEN_IDS } from '../../lib/weights/clip-keys';
import { clipMetadata, openClipWeights } from '../../lib/weights/clip-weights';
import { openTensorsSync } from '../../lib/weights/open';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';
import { describeWithGoldens, golden, goldenPath, goldenTokenIds, testEachGolden, testWithGoldens } from '../goldens';
import { expectSameValues, scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());
let counter = 0;
const folder = (): string => {
  const place = path.join(scratch.folder, `folder-${counter++}`);
  fs.mkdirSync(place);
  return place;
};

const tiny: ClipSizes = {
  embedDimension: 64,
  vision: { width: 128, layers: 6, heads: 2, patchSize: 14, gridSize: 4 },
  text: { width: 64, layers: 4, heads: 1, contextLength: 77, vocabularySize: 49408 },
};

/** Names whose values are compared with the tests' own reader, which reads the whole file each time; all others follow the same paths. */
const checkedApart = [
  'visual.proj',
  'visual.conv1.weight',
  'logit_scale',
  'positional_embedding',
  'transformer.resblocks.3.attn.in_proj_weight',
  'visual.transformer.resblocks.5.mlp.c_proj.bias',
];

describeWithGoldens('the same network in four files', () => {
  function huggingFaceFolder(
    change: (config: Record<string, Record<string, unknown>>) => void = () => undefined,
  ): string {
    const place = folder();
    fs.copyFileSync(goldenPath('clip_tiny_hf.safetensors'), path.join(place, 'model.safetensors'));
    const config = JSON.parse(fs.readFileSync(goldenPath('clip_tiny_hf_config.json'), 'utf8')) as Record<
      string,
      Record<string, unknown>
    >;
    change(config);
    fs.writeFileSync(path.join(place, 'config.json'), JSON.stringify(config));
    return place;
  }

  testEachGolden(
    [
      ['clip_tiny.safetensors', goldenPath, 'openai', 49408],
      ['clip_tiny_statedict.pt', goldenPath, 'openai', 512],
      ['clip_tiny_torchscript.pt', goldenPath, 'openai', 49408],
      ['clip_tiny_hf.safetensors', goldenPath, 'huggingface', 512],
    ],
    '%s',
    check,
  );

  testWithGoldens('clip_tiny_hf.safetensors')('HuggingFace folder', () =>
    check('', () => huggingFaceFolder(), 'huggingface', 512),
  );

  async function check(
    file: string,
    place: (file: string) => string,
    layout: string,
    vocabularySize: number,
  ): Promise<void> {
    const weights = await openClipWeights(place(file));
    expect(weights).toMatchObject({
      layout,
      activation: 'quick-gelu',
      sizes: { ...tiny, text: { ...tiny.text, vocabularySize } },
    });
    const tokenIds = file === 'clip_tiny.safetensors' ? goldenTokenIds(file) : undefined;
    expect(weights.tokenIds && Array.from(weights.tokenIds)).toEqual(tokenIds);
    const plain = openTensorsSync(goldenPath('clip_tiny.safetensors'));
    for (const [name, shape] of clipParameterShapes(weights.sizes, tokenIds?.length)) {
      // The cut files hold the first rows of the token table.
      const all = checkedApart.includes(name) ? golden(`clip_tiny.safetensors#${name}`).data : plain.read(name);
      const wanted = all.subarray(
        0,
        shape.reduce((product, size) => product * size, 1),
      );
      const found = weights.reader.take(name, shape);
      expect([name, found.findIndex((value, index) => value !== wanted[index]), found.length]).toEqual([
        name,
        -1,
        wanted.length,
      ]);
    }
    weights.reader.finish();
    weights.close();
    plain.close();
  }

  testWithGoldens('clip_tiny_hf.safetensors')('a HuggingFace configuration decides heads and activation', async () => {
    const gelu = huggingFaceFolder((config) => {
      Object.assign(config['vision_config'] ?? {}, { hidden_act: 'gelu', num_attention_heads: 4 });
      Object.assign(config['text_config'] ?? {}, { hidden_act: 'gelu' });
    });
    const weights = await openClipWeights(gelu);
    expect(weights).toMatchObject({ activation: 'gelu', sizes: { vision: { heads: 4 }, text: { heads: 1 } } });
    weights.close();
    const wrong: [RegExp, (config: Record<string, Record<string, unknown>>) => void][] = [
      [
        /different activations, gelu and quick_gelu/,
        (config) => Object.assign(config['vision_config'] ?? {}, { hidden_act: 'gelu' }),
      ],
      [
        /activation relu is unknown/,
        (config) =>
          ['vision_config', 'text_config'].forEach((key) => Object.assign(config[key] ?? {}, { hidden_act: 'relu' })),
      ],
      [
        /128 channels, which is not divisible by 3 heads/,
        (config) => Object.assign(config['vision_config'] ?? {}, { num_attention_heads: 3 }),
      ],
    ];
    for (const [message, change] of wrong) {
      expect((await weightsError(() => openClipWeights(huggingFaceFolder(change)))).message).toMatch(message);
    }
    const broken = huggingFaceFolder();
    fs.writeFileSync(path.join(broken, 'config.json'), '{');
    expect((await weightsError(() => openClipWeights(broken))).message).toContain('not JSON');
  });

  testWithGoldens('clip_tiny_hf.safetensors')('a model in several files', async () => {
    const place = folder();
    const whole = await openClipWeights(goldenPath('clip_tiny_hf.safetensors'));
    const source = whole.reader.source;
    const map: Record<string, string> = {};
    const shards: Record<string, TensorToWrite>[] = [{}, {}];
    [...source.entries.values()].forEach(({ name, shape, dtype }, index) => {
      const tensor: TensorToWrite =
        dtype === 'int64'
          ? { dtype: 'int32', shape, data: () => source.readIntegers(name) }
          : { dtype: dtype as 'float32', shape, data: () => source.read(name) };
      Object.assign(shards[index % 2] as object, { [name]: tensor });
      map[name] = `model-0000${1 + (index % 2)}-of-00002.safetensors`;
    });
    shards.forEach((shard, index) =>
      writeSafetensors(path.join(place, `model-0000${1 + index}-of-00002.safetensors`), shard, { format: 'pt' }),
    );
    const index = path.join(place, 'model.safetensors.index.json');
    fs.writeFileSync(index, JSON.stringify({ metadata: {}, weight_map: map }));
    const weights = await openClipWeights(place);
    for (const [name, shape] of clipParameterShapes(weights.sizes))
      expectSameValues(weights.reader.take(name, shape), whole.reader.take(name, shape));
    weights.reader.finish();
    const [counters, sharded] = ['vision_model.embeddings.position_ids', weights.reader.source];
    expect([...sharded.readIntegers(counters)]).toEqual(Array.from({ length: 17 }, (_, index) => index));
    expect([...sharded.readDoubles(counters)]).toEqual([...source.readDoubles(counters)]);
    expect((await weightsError(() => sharded.read('nothing'))).code).toBe('weights/missing');
    weights.close();
    expect((await weightsError(() => sharded.read('logit_scale'))).code).toBe('weights/closed');
    whole.close();

    const attempts: [RegExp, unknown][] = [
      [/not a file of this folder/, { weight_map: { ...map, logit_scale: '../secret.safetensors' } }],
      [/not a file of this folder/, { weight_map: { ...map, logit_scale: '..' } }],
      [
        /says that model-00001-of-00002.safetensors holds nothing.here/,
        { weight_map: { ...map, 'nothing.here': 'model-00001-of-00002.safetensors' } },
      ],
      [
        /cannot open .*model-00003-of-00002\.safetensors/,
        { weight_map: { ...map, logit_scale: 'model-00003-of-00002.safetensors' } },
      ],
      [/has no weight_map/, []],
    ];
    for (const [message, content] of attempts) {
      fs.writeFileSync(index, JSON.stringify(content));
      expect((await weightsError(() => openClipWeights(place))).message).toMatch(message);
    }
    fs.writeFileSync(index, '{');
    expect((await weightsError(() => openClipWeights(place))).message).toContain('not JSON');
  });

  testEachGolden(
    [
      ['prompts_tiny.pth', /give it as prompts/],
      ['vfm_dinov2_f16.pth', /DINO or SAM/],
      ['formats.safetensors', /it holds 4 tensors/],
    ],
    '%s is no CLIP',
    async (file, message) => {
      const error = await weightsError(() => openClipWeights(goldenPath(file)));
      expect(error.code).toBe('weights/not-clip');
      expect(error.message).toMatch(message);
    },
  );
});

const small: ClipSizes = {
  embedDimension: 8,
  vision: { width: 16, layers: 2, heads: 4, patchSize: 4, gridSize: 3 },
  text: { width: 12, layers: 1, heads: 3, contextLength: 9, vocabularySize: 30 },
};

/** Drawn weights of a small network; each value is its index within the tensor. */
function drawn(
  sizes: ClipSizes,
  rename: (name: string) => string = (name) => name,
  rows?: number,
): Record<string, TensorToWrite> {
  return Object.fromEntries(
    [...clipParameterShapes(sizes, rows)].map(([name, shape]) => [
      rename(name),
      {
        dtype: 'float32',
        shape,
        data: Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, index) => index),
      },
    ]),
  );
}

function write(
  tensors: Record<string, TensorToWrite>,
  metadata: Record<string, string> = {},
  name = 'model.safetensors',
): string {
  const target = path.join(folder(), name);
  writeSafetensors(target, tensors, metadata);
  return target;
}

test('our own files say their sizes and activation, and may hold part of the vocabulary', async () => {
  const ids: TensorToWrite = { dtype: 'int32', shape: [5], data: Int32Array.of(0, 3, 7, 28, 29) };
  const weights = await openClipWeights(
    write({ ...drawn(small, undefined, 5), [TOKEN_IDS]: ids }, clipMetadata(small, 'gelu')),
  );
  expect(weights).toMatchObject({
    layout: 'nano',
    activation: 'gelu',
    sizes: small,
    tokenIds: Int32Array.of(0, 3, 7, 28, 29),
  });
  for (const [name, shape] of clipParameterShapes(small, 5)) weights.reader.take(name, shape);
  weights.reader.finish();
  weights.close();

  for (const data of [Int32Array.of(0, 3, 7, 28), Int32Array.of(0, 3, 3, 28, 29), Int32Array.of(-1, 3, 7, 28, 29)]) {
    const file = write(
      { ...drawn(small, undefined, 5), [TOKEN_IDS]: { dtype: 'int32', shape: [data.length], data } },
      clipMetadata(small, 'gelu'),
    );
    expect((await weightsError(() => openClipWeights(file))).message).toContain('by an ascending id');
  }
});

describe('open_clip', () => {
  const wide: ClipSizes = {
    ...small,
    vision: { ...small.vision, width: 64, heads: 1 },
    text: { ...small.text, width: 64, heads: 1 },
  };
  const inText = (name: string): string =>
    name.startsWith('visual.') || name === 'logit_scale' ? name : `text.${name}`;

  test.each<[string, (name: string) => string, string]>([
    ['its file name', (name) => name, 'open_clip_model.safetensors'],
    ['a text tower of its own', inText, 'model.safetensors'],
  ])('is told by %s, and has the exact GELU', async (_, rename, name) => {
    const weights = await openClipWeights(write(drawn(wide, rename), {}, name));
    expect(weights).toMatchObject({ layout: 'open_clip', activation: 'gelu', sizes: wide });
    for (const [tensor, shape] of clipParameterShapes(wide)) expect(weights.reader.take(tensor, shape)[1] ?? 1).toBe(1);
    weights.reader.finish();
    weights.close();
  });

  test('its configuration decides heads and activation; the caller decides last', async () => {
    const file = write(drawn(small), {}, 'open_clip_model.safetensors');
    expect((await weightsError(() => openClipWeights(file))).message).toContain(
      'its vision tower is 16 channels wide, unlike that of any published CLIP',
    );
    const config = {
      model_cfg: { quick_gelu: true, vision_cfg: { width: 16, head_width: 4 }, text_cfg: { heads: 3 } },
    };
    fs.writeFileSync(path.join(path.dirname(file), 'open_clip_config.json'), JSON.stringify(config));
    const weights = await openClipWeights(path.dirname(file));
    expect(weights).toMatchObject({ layout: 'open_clip', activation: 'quick-gelu', sizes: small });
    weights.close();
    const other = await openClipWeights(file, { activation: 'gelu' });
    expect(other.activation).toBe('gelu');
    other.close();
  });
});

test.each<[string, (tensors: Record<string, TensorToWrite>) => void, RegExp]>([
  ['a missing projection', (tensors) => delete tensors['visual.proj'], /lacks visual\.proj.*Nearest names/],
  [
    'no text tower',
    (tensors) =>
      Object.keys(tensors)
        .filter((name) => !name.startsWith('visual.'))
        .forEach((name) => delete tensors[name]),
    /lacks token_embedding\.weight/,
  ],
  [
    'no blocks',
    (tensors) =>
      Object.keys(tensors)
        .filter((name) => name.startsWith('transformer.'))
        .forEach((name) => delete tensors[name]),
    /lacks transformer\.resblocks\.0\.ln_1\.weight/,
  ],
  [
    'a grid that is not square',
    (tensors) =>
      (tensors['visual.positional_embedding'] = { dtype: 'float32', shape: [9, 16], data: new Float32Array(144) }),
    /9 rows/,
  ],
  [
    'patches that are not square',
    (tensors) =>
      (tensors['visual.conv1.weight'] = { dtype: 'float32', shape: [16, 3, 4, 2], data: new Float32Array(384) }),
    /square patches/,
  ],
  [
    'a projection of the wrong rank',
    (tensors) => (tensors['visual.proj'] = { dtype: 'float32', shape: [16], data: new Float32Array(16) }),
    /2 axes/,
  ],
])('%s: an error', async (_, change, message) => {
  const tensors = drawn(small);
  change(tensors);
  expect((await weightsError(() => openClipWeights(write(tensors, clipMetadata(small, 'gelu'))))).message).toMatch(
    message,
  );
});

test('a CLIP with a ResNet is named', async () => {
  const tensors: Record<string, TensorToWrite> = {
    'visual.layer1.0.conv1.weight': { dtype: 'float32', shape: [1], data: new Float32Array(1) },
  };
  expect((await weightsError(() => openClipWeights(write(tensors)))).message).toContain('ResNet');
});

test('metadata that describe no network', async () => {
  for (const sizes of ['{', '{"vision":{"heads":0}}', '[]']) {
    const file = write(drawn(small), { ...clipMetadata(small, 'gelu'), 'crane.sizes': sizes });
    expect((await weightsError(() => openClipWeights(file))).code).toBe('weights/config');
  }
});
