import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ClipSizes } from '../../lib/encoders/clip-sizes';
import { clipParameterShapes } from '../../lib/weights/clip-keys';
import { clipMetadata, openClipWeights, type ClipWeights, type OpenClipOptions } from '../../lib/weights/clip-weights';
import { writeSafetensors, type TensorToWrite } from '../../lib/weights/safetensors';
import { nanoFolder, nanoHuggingFace, nanoModel, writeNanoAsHuggingFace, writeNanoFile } from '../tools/nano-folders';
import { checkpoint, scratchFolder, weightsError } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

let openClip: string;
let huggingFace: string;
beforeAll(() => {
  openClip = writeNanoFile(path.join(scratch.folder, 'weights', 'open_clip_model.safetensors'));
  huggingFace = writeNanoAsHuggingFace(path.join(scratch.folder, 'weights', 'model.safetensors'));
}, 60_000);

let counter = 0;
const fresh = (): string => path.join(scratch.folder, `folder-${counter++}`);
const ofOpenClip = (config: unknown): string => nanoFolder(fresh(), openClip, { 'open_clip_config.json': config });
const ofHuggingFace = (config: unknown, processor?: unknown): string =>
  nanoFolder(fresh(), huggingFace, {
    'config.json': config,
    ...(processor === undefined ? {} : { 'preprocessor_config.json': processor }),
  });

async function opened<T>(source: string, read: (weights: ClipWeights) => T, options: OpenClipOptions = {}): Promise<T> {
  const weights = await openClipWeights(source, options);
  try {
    return read(weights);
  } finally {
    weights.close();
  }
}

const CLIP = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] };
const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

test("open_clip's configuration without a word of the input leaves that to HuggingFace's file beside it, one with a word does not", async () => {
  const beside = { image_mean: HALF.mean, image_std: HALF.std };
  const folder = (config: object): string =>
    nanoFolder(fresh(), openClip, { 'open_clip_config.json': config, 'preprocessor_config.json': beside });
  await opened(folder({ model_cfg: nanoModel }), ({ input, saysInput }) =>
    expect([input, saysInput]).toEqual([{ resize: 'bicubic', ...HALF }, true]),
  );
  await opened(folder({ model_cfg: nanoModel, preprocess_cfg: CLIP }), ({ input }) =>
    expect(input).toEqual({ resize: 'bicubic', ...CLIP }),
  );
});

test('a configuration that is a link to nothing, or to itself, is not taken for none', async () => {
  const dangling = ofHuggingFace(nanoHuggingFace);
  fs.rmSync(path.join(dangling, 'config.json'));
  fs.symlinkSync('nowhere', path.join(dangling, 'config.json'));
  expect((await weightsError(() => openClipWeights(dangling))).message).toMatch(
    /cannot open .*config\.json: a link to a file that does not exist$/,
  );
  fs.rmSync(path.join(dangling, 'config.json'));
  fs.symlinkSync('config.json', path.join(dangling, 'config.json'));
  expect((await weightsError(() => openClipWeights(dangling))).message).toMatch(
    /cannot open .*config\.json: a link that leads back to itself$/,
  );
});

describe('open_clip_config.json', () => {
  const withModel = (change: object): object => ({ model_cfg: { ...nanoModel, ...change } });
  const withVision = (change: object): object => withModel({ vision_cfg: { ...nanoModel.vision_cfg, ...change } });
  const withText = (change: object): object => withModel({ text_cfg: { ...nanoModel.text_cfg, ...change } });
  const withPreprocess = (change: object): object => ({ model_cfg: nanoModel, preprocess_cfg: change });

  test.each<[string, object, object]>([
    ['nothing of the input', withModel({}), { input: { resize: 'bicubic', ...CLIP }, saysInput: false, guesses: [] }],
    ['mean and deviation', withPreprocess(HALF), { input: { resize: 'bicubic', ...HALF }, saysInput: true }],
    ['one number for all colours', withPreprocess({ mean: 0, std: 1 }), { input: { mean: [0, 0, 0], std: [1, 1, 1] } }],
    ['a bilinear filter', withPreprocess({ interpolation: 'bilinear' }), { input: { resize: 'bilinear', ...CLIP } }],
    [
      'all of a newer file',
      withPreprocess({
        size: [112, 112],
        mode: 'RGB',
        ...HALF,
        interpolation: 'bicubic',
        resize_mode: 'squash',
        fill_color: 0,
      }),
      { input: { resize: 'bicubic', ...HALF } },
    ],
    ['no quick_gelu, which is off in open_clip', withModel({ quick_gelu: undefined }), { activation: 'gelu' }],
    ['heads by their width', withVision({ head_width: 32 }), { sizes: { vision: { heads: 4 }, text: { heads: 2 } } }],
    [
      'heads by a width that leaves a rest, as open_clip counts them',
      withVision({ head_width: 48 }),
      { sizes: { vision: { heads: 2 } } },
    ],
    [
      'an epsilon',
      { model_cfg: { ...nanoModel, vision_cfg: { ...nanoModel.vision_cfg, norm_kwargs: { eps: 1e-6 } } } },
      { sizes: { vision: { epsilon: 1e-6 } } },
    ],
    [
      'switches that are off',
      withText({
        no_causal_mask: false,
        hf_model_name: null,
        tokenizer_kwargs: {},
        act_kwargs: null,
        pool_type: 'argmax',
      }),
      { activation: 'quick-gelu' },
    ],
    ['the model alone', nanoModel, { activation: 'quick-gelu', sizes: { vision: { heads: 2 } } }],
    ['a field not known here that is off', withVision({ some_new_trick: false }), { activation: 'quick-gelu' }],
  ])('%s', async (_, config, expected) => {
    await opened(ofOpenClip(config), (weights) => expect(weights).toMatchObject(expected));
  });

  test.each<[object, RegExp]>([
    [withText({ no_causal_mask: true }), /model_cfg\.text_cfg\.no_causal_mask is true; expected false/],
    [withText({ pool_type: 'last' }), /text_cfg\.pool_type is "last"; expected "argmax"/],
    [withText({ hf_model_name: 'roberta-base' }), /hf_model_name is "roberta-base"/],
    [withText({ hf_tokenizer_name: 'facebook/xlm-v-base' }), /hf_tokenizer_name is "facebook\/xlm-v-base"/],
    [withText({ embed_cls: true }), /embed_cls/],
    [withText({ proj_type: 'none' }), /proj_type/],
    [withText({ proj_bias: true }), /proj_bias/],
    [withText({ layers: 12 }), /text_cfg\.layers is 12; expected 3/],
    [withText({ act_kwargs: { approximate: 'tanh' } }), /text_cfg\.act_kwargs is \{"approximate":"tanh"\}/],
    [withVision({ pool_type: 'avg' }), /vision_cfg\.pool_type is "avg"/],
    [withVision({ no_ln_pre: true }), /no_ln_pre is true/],
    [withVision({ final_ln_after_pool: true }), /final_ln_after_pool is true/],
    [withVision({ attentional_pool: true }), /attentional_pool is true/],
    [withVision({ ls_init_value: 1e-5 }), /ls_init_value is 0\.00001/],
    [withVision({ qk_norm: true }), /qk_norm is true/],
    [withVision({ scaled_cosine_attn: true }), /scaled_cosine_attn/],
    [withVision({ pos_embed_type: 'none' }), /pos_embed_type/],
    [withVision({ mlp_ratio: 2 }), /mlp_ratio is 2; expected 4/],
    [withVision({ image_size: 224 }), /image_size is 224; expected 112/],
    [withVision({ norm_kwargs: { eps: 0 } }), /vision_cfg\.norm_kwargs\.eps is 0; expected a number above 0/],
    [
      withVision({ norm_kwargs: { elementwise_affine: true } }),
      /norm_kwargs\.elementwise_affine is true; the field is unknown/,
    ],
    [withVision({ timm_model_name: 'vit_base' }), /timm_model_name/],
    [withVision({ some_new_trick: 3 }), /vision_cfg\.some_new_trick is 3; the field is unknown/],
    [withModel({ multimodal_cfg: { width: 512 } }), /multimodal_cfg/],
    [withModel({ embed_dim: 512 }), /embed_dim is 512; expected 128/],
    [withModel({ quick_gelu: 'yes' }), /quick_gelu is "yes"; expected true or false/],
    [withPreprocess({ mean: [] }), /preprocess_cfg\.mean is \[\]; expected three finite numbers/],
    [withPreprocess({ mean: [0.5, 0.5] }), /mean is \[0\.5,0\.5\]/],
    [withPreprocess({ mean: ['0.5', 0.5, 0.5] }), /mean/],
    [withPreprocess({ std: [0.5, 0, 0.5] }), /std is \[0\.5,0,0\.5\]; expected three numbers above 0/],
    [withPreprocess({ std: 0 }), /std is 0/],
    [withPreprocess({ resize_mode: 'longest' }), /resize_mode is "longest"; expected "shortest" or "squash"/],
    [withPreprocess({ interpolation: 'nearest' }), /interpolation is "nearest"/],
    [withPreprocess({ mode: 'L' }), /mode is "L"/],
    [{ something: 1 }, /neither model_cfg nor vision_cfg/],
    [{ model_cfg: 3 }, /model_cfg is 3; expected an object/],
  ])('%j is refused by name', async (config, message) => {
    const error = await weightsError(() => openClipWeights(ofOpenClip(config)));
    expect(error.message).toMatch(message);
    expect(error.message).toContain('open_clip_config.json');
  });

  test('numbers that JSON does not have are no configuration', async () => {
    const folder = ofOpenClip({});
    fs.writeFileSync(
      path.join(folder, 'open_clip_config.json'),
      '{"model_cfg": {}, "preprocess_cfg": {"mean": [NaN, 0, 0]}}',
    );
    expect((await weightsError(() => openClipWeights(folder))).message).toContain('is not JSON');
  });
});

describe("HuggingFace's folder", () => {
  const withVision = (change: object): object => ({
    ...nanoHuggingFace,
    vision_config: { ...nanoHuggingFace.vision_config, ...change },
  });
  const withText = (change: object): object => ({
    ...nanoHuggingFace,
    text_config: { ...nanoHuggingFace.text_config, ...change },
  });
  const processor = {
    do_resize: true,
    size: { shortest_edge: 112 },
    resample: 3,
    do_center_crop: true,
    crop_size: { height: 112, width: 112 },
    do_rescale: true,
    rescale_factor: 0.00392156862745098,
    do_normalize: true,
    image_mean: CLIP.mean,
    image_std: CLIP.std,
    do_convert_rgb: true,
    image_processor_type: 'CLIPImageProcessor',
    processor_class: 'CLIPProcessor',
  };

  test.each<[string, object, object | undefined, object]>([
    [
      'no processor',
      nanoHuggingFace,
      undefined,
      { input: { resize: 'bicubic', ...CLIP }, saysInput: false, activation: 'quick-gelu', guesses: [] },
    ],
    ['the usual processor', nanoHuggingFace, processor, { input: { resize: 'bicubic', ...CLIP }, saysInput: true }],
    [
      'an older one',
      nanoHuggingFace,
      { ...processor, size: 112, crop_size: 112, feature_extractor_type: 'CLIPFeatureExtractor' },
      { input: CLIP },
    ],
    ['another mean', nanoHuggingFace, { ...processor, image_mean: HALF.mean, image_std: HALF.std }, { input: HALF }],
    ['a bilinear filter', nanoHuggingFace, { ...processor, resample: 2 }, { input: { resize: 'bilinear' } }],
    [
      'no normalisation',
      nanoHuggingFace,
      { ...processor, do_normalize: false },
      { input: { mean: [0, 0, 0], std: [1, 1, 1] } },
    ],
    // (level / 127.5 - 1) / 1 = (level / 255 - 0.5) / 0.5
    [
      'a factor of its own',
      nanoHuggingFace,
      { ...processor, rescale_factor: 1 / 127.5, image_mean: [1, 1, 1], image_std: [1, 1, 1] },
      { input: HALF },
    ],
    // (level - 127.5) / 127.5 = (level / 255 - 0.5) / 0.5
    [
      'no factor',
      nanoHuggingFace,
      { ...processor, do_rescale: false, image_mean: 127.5, image_std: 127.5 },
      { input: HALF },
    ],
    [
      'another epsilon',
      { ...withVision({ layer_norm_eps: 1e-6 }) },
      undefined,
      { sizes: { vision: { epsilon: 1e-6 } } },
    ],
    [
      'a diverse past',
      {
        ...withText({
          eos_token_id: 49407,
          bos_token_id: 49406,
          dropout: 0.1,
          _name_or_path: 'x',
          top_k: 50,
          torch_dtype: 'float32',
        }),
        architectures: ['CLIPModel'],
        logit_scale_init_value: 2.6592,
      },
      undefined,
      { activation: 'quick-gelu' },
    ],
    [
      'fields that stand twice',
      {
        ...withVision({ layer_norm_eps: 1 }),
        vision_config_dict: { ...nanoHuggingFace.vision_config, layer_norm_eps: 1e-6 },
      },
      undefined,
      { sizes: { vision: { epsilon: 1e-6 } } },
    ],
  ])('%s', async (_, config, beside, expected) => {
    await opened(ofHuggingFace(config, beside), (weights) => expect(weights).toMatchObject(expected));
  });

  // What openai/clip-vit-large-patch14 and LAION's ports hold, with these sizes.
  test('everything that published files hold', async () => {
    const generic = {
      _name_or_path: '',
      add_cross_attention: false,
      architectures: null,
      attention_dropout: 0.0,
      bad_words_ids: null,
      begin_suppress_tokens: null,
      bos_token_id: 0,
      chunk_size_feed_forward: 0,
      cross_attention_hidden_size: null,
      decoder_start_token_id: null,
      diversity_penalty: 0.0,
      do_sample: false,
      dropout: 0.0,
      early_stopping: false,
      encoder_no_repeat_ngram_size: 0,
      exponential_decay_length_penalty: null,
      finetuning_task: null,
      forced_bos_token_id: null,
      forced_eos_token_id: null,
      id2label: { 0: 'LABEL_0', 1: 'LABEL_1' },
      initializer_factor: 1.0,
      initializer_range: 0.02,
      is_decoder: false,
      is_encoder_decoder: false,
      label2id: { LABEL_0: 0, LABEL_1: 1 },
      length_penalty: 1.0,
      max_length: 20,
      min_length: 0,
      no_repeat_ngram_size: 0,
      num_beam_groups: 1,
      num_beams: 1,
      num_return_sequences: 1,
      output_attentions: false,
      output_hidden_states: false,
      output_scores: false,
      pad_token_id: 1,
      prefix: null,
      problem_type: null,
      projection_dim: 512,
      pruned_heads: {},
      remove_invalid_values: false,
      repetition_penalty: 1.0,
      return_dict: true,
      return_dict_in_generate: false,
      sep_token_id: null,
      suppress_tokens: null,
      task_specific_params: null,
      temperature: 1.0,
      tf_legacy_loss: false,
      tie_encoder_decoder: false,
      tie_word_embeddings: true,
      tokenizer_class: null,
      top_k: 50,
      top_p: 1.0,
      torch_dtype: null,
      torchscript: false,
      transformers_version: '4.24.0',
      typical_p: 1.0,
      use_bfloat16: false,
    };
    const { vision_config: vision, text_config: text } = nanoHuggingFace;
    const config = {
      ...nanoHuggingFace,
      _commit_hash: null,
      architectures: ['CLIPModel'],
      initializer_factor: 1.0,
      logit_scale_init_value: 2.6592,
      torch_dtype: 'float32',
      transformers_version: null,
      text_config: { ...generic, ...text, model_type: 'clip_text_model', vocab_size: 49408, eos_token_id: 2 },
      text_config_dict: { ...text, projection_dim: 128 },
      vision_config: { ...generic, ...vision, model_type: 'clip_vision_model', num_channels: 3, eos_token_id: null },
      vision_config_dict: { ...vision, projection_dim: 128 },
    };
    await opened(ofHuggingFace(config, processor), (weights) =>
      expect(weights).toMatchObject({
        activation: 'quick-gelu',
        sizes: { vision: { heads: 2 }, text: { heads: 2 } },
        input: CLIP,
      }),
    );
  });

  test('an activation that is none is wrong use', async () => {
    await expect(openClipWeights(huggingFace, { activation: 'relu' as never })).rejects.toMatchObject({
      code: 'usage/activation',
    });
  });

  test('the processor may stand in processor_config.json', async () => {
    const folder = ofHuggingFace(nanoHuggingFace);
    fs.writeFileSync(
      path.join(folder, 'processor_config.json'),
      JSON.stringify({
        image_processor: { ...processor, image_mean: HALF.mean, image_std: HALF.std },
        processor_class: 'CLIPProcessor',
      }),
    );
    await opened(folder, ({ input }) => expect(input).toMatchObject(HALF));
  });

  test.each<[object, object | undefined, RegExp]>([
    [withText({ eos_token_id: 0 }), undefined, /text_config\.eos_token_id is 0/],
    [withText({ num_hidden_layers: 2 }), undefined, /num_hidden_layers is 2; expected 3/],
    [withText({ hidden_act: 'gelu' }), undefined, /different activations, quick_gelu and gelu/],
    [withVision({ layer_norm_eps: -1 }), undefined, /vision_config\.layer_norm_eps is -1/],
    [withVision({ intermediate_size: 256 }), undefined, /intermediate_size is 256; expected 512/],
    [withVision({ pruned_heads: { 0: [1] } }), undefined, /pruned_heads/],
    [withVision({ use_rope: true }), undefined, /vision_config\.use_rope is true; the field is unknown/],
    [{ ...nanoHuggingFace, model_type: 'siglip' }, undefined, /model_type is "siglip"/],
    [{ ...nanoHuggingFace, projection_dim: 512 }, undefined, /projection_dim is 512/],
    [nanoHuggingFace, { image_std: [0, 1, 1] }, /preprocessor_config\.json: image_std is \[0,1,1\]/],
    [nanoHuggingFace, { resample: 1 }, /resample is 1; expected 3 \(bicubic\) or 2/],
    [nanoHuggingFace, { do_resize: false }, /do_resize is false/],
    [nanoHuggingFace, { do_pad: true }, /do_pad is true/],
    [nanoHuggingFace, { size: { longest_edge: 112 } }, /size is \{"longest_edge":112\}/],
    [nanoHuggingFace, { rescale_factor: 0 }, /rescale_factor is 0/],
    [nanoHuggingFace, { do_flip_channel_order: true }, /do_flip_channel_order/],
    [nanoHuggingFace, { do_equalise: true }, /do_equalise is true; the field is unknown/],
  ])('%j with %j is refused by name', async (config, beside, message) => {
    expect((await weightsError(() => openClipWeights(ofHuggingFace(config, beside)))).message).toMatch(message);
  });
});

describe('what no file says', () => {
  const small = (vision: number, text: number, hidden?: number): ClipSizes => ({
    embedDimension: 8,
    vision: {
      width: vision,
      layers: 1,
      heads: 1,
      patchSize: 2,
      gridSize: 1,
      ...(hidden === undefined ? {} : { hidden }),
    },
    text: { width: text, layers: 1, heads: 1, contextLength: 9, vocabularySize: 30 },
  });
  /** A file of one number seen in every place, so that towers a thousand channels wide are small. */
  function write(sizes: ClipSizes, name = 'model.pt', rename = (path: string): string => path): string {
    const views = [...clipParameterShapes(sizes)].map(([tensor, shape]) => ({
      name: rename(tensor),
      count: 1,
      shape: [...shape],
      strides: shape.map(() => 0),
    }));
    const folder = fresh();
    fs.mkdirSync(folder);
    fs.writeFileSync(path.join(folder, name), checkpoint(views, 1));
    return path.join(folder, name);
  }
  const headsOf = (file: string, heads?: OpenClipOptions['heads']): Promise<readonly number[]> =>
    opened(file, ({ sizes }) => [sizes.vision.heads, sizes.text.heads], heads === undefined ? {} : { heads });

  // Widths and heads of open_clip's model configurations.
  test.each([
    ['ViT-S', 384, 384, [6, 6]],
    ['ViT-S alt', 384, 256, [6, 4]],
    ['ViT-M', 512, 512, [8, 8]],
    ['ViT-B', 768, 512, [12, 8]],
    ['ViT-B plus', 896, 640, [14, 10]],
    ['ViT-L', 1024, 768, [16, 12]],
    ['ViT-H', 1280, 1024, [16, 16]],
    ['ViT-g', 1408, 1024, [16, 16]],
    ['ViT-bigG', 1664, 1280, [16, 20]],
    ['ViT-e', 1792, 1280, [16, 20]],
  ])('heads of %s', async (_, vision, text, heads) => {
    expect(await headsOf(write(small(vision, text)))).toEqual(heads);
  });

  test('a width of no known network takes heads, or is refused', async () => {
    const file = write(small(1152, 512));
    const error = await weightsError(() => openClipWeights(file));
    expect(error.code).toBe('weights/heads');
    expect(error.message).toMatch(/vision tower is 1152 channels wide, unlike that of any published CLIP.*set `heads`/);
    expect(await headsOf(file, 16)).toEqual([16, 8]);
    expect(await headsOf(file, { vision: 18, text: 4 })).toEqual([18, 4]);
    expect((await weightsError(() => openClipWeights(file, { heads: { text: 4 } }))).code).toBe('weights/heads');
    expect((await weightsError(() => openClipWeights(file, { heads: 7 }))).message).toMatch(
      /1152 channels, which is not divisible by 7 heads/,
    );
    // One number is for both where neither is known.
    expect(await headsOf(write(small(1152, 576)), 12)).toEqual([12, 12]);
    expect((await weightsError(() => openClipWeights(write(small(768, 576))))).message).toContain(
      'text tower is 576 channels wide',
    );
  });

  test('the feed-forward width of g and bigG is read off the tensors', async () => {
    await opened(write(small(1408, 1024, 6144)), ({ sizes }) => expect(sizes.vision).toMatchObject({ hidden: 6144 }));
    await opened(write(small(1024, 768)), ({ sizes }) => expect(sizes.vision).not.toHaveProperty('hidden'));
  });

  test.each(['', 'state_dict.', 'module.', '_orig_mod.', 'state_dict.module.', 'model.'])(
    'what wraps a state dict (%j) says nothing of the activation',
    async (prefix) => {
      const file = write(small(64, 64), 'bare.pt', (name) => `${prefix}${name}`);
      await opened(file, (weights) => {
        expect(weights.activation).toBe('quick-gelu');
        expect(weights.guesses).toEqual([
          expect.stringMatching(/bare\.pt says which activation.*quick-gelu is assumed/),
        ]);
      });
      await opened(file, (weights) => expect(weights).toMatchObject({ activation: 'gelu', guesses: [] }), {
        activation: 'gelu',
      });
    },
  );

  test("open_clip's name for a file is a guess too, and its name for a network", async () => {
    await opened(write(small(64, 64), 'open_clip_pytorch_model.bin'), (weights) =>
      expect(weights).toMatchObject({ activation: 'gelu', guesses: [expect.stringContaining('gelu is assumed')] }),
    );
    await opened(write(small(64, 64), 'open_clip_ViT-B-32-quickgelu.bin'), ({ activation }) =>
      expect(activation).toBe('quick-gelu'),
    );
  });
});

describe('our own files', () => {
  const sizes: ClipSizes = {
    embedDimension: 4,
    vision: { width: 12, layers: 1, heads: 3, hidden: 20, epsilon: 1e-6, patchSize: 2, gridSize: 1 },
    text: { width: 6, layers: 1, heads: 2, epsilon: 1e-3, contextLength: 9, vocabularySize: 30 },
  };
  function write(metadata: Record<string, string>): string {
    const folder = fresh();
    fs.mkdirSync(folder);
    const tensors = [...clipParameterShapes(sizes)].map(([name, shape]): [string, TensorToWrite] => [
      name,
      { dtype: 'float32', shape, data: new Float32Array(shape.reduce((product, side) => product * side, 1)) },
    ]);
    writeSafetensors(path.join(folder, 'model.safetensors'), Object.fromEntries(tensors), metadata);
    return folder;
  }

  test('say heads, epsilon, feed-forward width, activation and input, whatever lies beside them', async () => {
    const input = { resize: 'bilinear', mean: [0, 0.25, 1], std: [1, 2, 3] } as const;
    const folder = write(clipMetadata(sizes, 'gelu', 'open_clip', input));
    fs.writeFileSync(path.join(folder, 'open_clip_config.json'), JSON.stringify({ model_cfg: nanoModel }));
    await opened(folder, (weights) =>
      expect(weights).toMatchObject({
        sizes,
        activation: 'gelu',
        layout: 'open_clip',
        input,
        saysInput: true,
        guesses: [],
      }),
    );
  });

  test.each<[string, RegExp]>([
    ['{"mean":[0,0]}', /crane\.preprocessing\.mean is \[0,0\]/],
    ['{"std":0}', /crane\.preprocessing\.std is 0/],
    ['{"resize":"lanczos"}', /crane\.preprocessing\.resize is "lanczos"/],
    ['{"sharpen":2}', /crane\.preprocessing\.sharpen is 2; the field is unknown/],
    ['[]', /crane\.preprocessing is not a JSON object/],
  ])('with an input that makes no sense, %s', async (text, message) => {
    const error = await weightsError(() =>
      openClipWeights(write({ ...clipMetadata(sizes, 'gelu'), 'crane.preprocessing': text })),
    );
    expect(error.message).toMatch(message);
  });
});
