import * as path from 'node:path';
import type { Activation } from '../layers/mlp';
import { CLIP_EPSILON } from '../encoders/clip-sizes';
import type { InputRule } from '../image/normalisation';
import { WeightsError } from '../errors';
import { ConfigurationFields, folderOf, isObject, readJsonObject } from './configuration';
import { HUGGINGFACE_NEUTRAL } from './huggingface-fields';
import { huggingFaceInput, openClipInput } from './input-rule';

/** What the tensors say about a tower. */
export interface TowerShapes {
  readonly width: number;
  readonly layers: number;
  readonly hidden: number;
}

/** What the tensors say about a CLIP: all but heads, activation and epsilon. */
export interface ClipShapes {
  readonly embedDimension: number;
  readonly vision: TowerShapes & { readonly patchSize: number; readonly gridSize: number };
  readonly text: TowerShapes & { readonly contextLength: number };
  /** Rows of the token table. */
  readonly tokenRows: number;
}

interface TowerChoice {
  readonly heads: number;
  readonly epsilon: number;
}

/** What a configuration beside CLIP weights decides. */
export interface ClipConfiguration {
  readonly vision: TowerChoice;
  readonly text: TowerChoice;
  /** Read only where nothing overrules it. @throws WeightsError where it is unknown */
  readonly activation: () => Activation;
  readonly input: InputRule | undefined;
}

export function openClipConfigPath(source: string): string {
  return path.join(folderOf(source), 'open_clip_config.json');
}

/**
 * Reads `open_clip_config.json`: `{ model_cfg, preprocess_cfg }`, or a model's configuration alone. What it leaves out is
 * as in open_clip. Undefined where there is no such file.
 * @throws WeightsError `weights/config` naming the field that cannot be honoured, or does not belong to these weights
 */
export function openClipConfiguration(source: string, shapes: ClipShapes): ClipConfiguration | undefined {
  const file = openClipConfigPath(source);
  const content = readJsonObject(file);
  if (content === undefined) return undefined;
  const root = new ConfigurationFields(file, '', content);
  const isWhole = root.value('model_cfg') !== undefined;
  if (!isWhole && root.value('vision_cfg') === undefined) {
    throw new WeightsError(
      'weights/config',
      `${file} has neither model_cfg nor vision_cfg, so it does not say what network the weights are of`,
      { path: file },
    );
  }
  const model = isWhole ? root.below('model_cfg') : root;
  const preprocess =
    root.value('preprocess_cfg') === undefined ? undefined : openClipInput(root.below('preprocess_cfg'));
  const vision = model.below('vision_cfg');
  const text = model.below('text_cfg');
  model.same('embed_dim', shapes.embedDimension);
  const quick = model.flag('quick_gelu') ?? false;
  model.unset('multimodal_cfg');
  model.ignore([
    'custom_text',
    'cast_dtype',
    'nonscalar_logit_scale',
    'init_logit_scale',
    'init_logit_bias',
    'output_dict',
  ]);
  model.finish();
  return {
    vision: openClipVision(vision, shapes.vision),
    text: openClipText(text, shapes.text),
    activation: () => (quick ? 'quick-gelu' : 'gelu'),
    input: preprocess,
  };
}

function openClipVision(fields: ConfigurationFields, shapes: ClipShapes['vision']): TowerChoice {
  // A timm model is another network, which width and heads here do not describe.
  fields.unset('timm_model_name');
  fields.ignore(/^timm_/);
  sameSide(fields, 'patch_size', shapes.patchSize);
  sameSide(fields, 'image_size', shapes.patchSize * shapes.gridSize);
  fields.only('no_ln_pre', false);
  fields.only('pool_type', 'tok');
  fields.only('attentional_pool', false);
  fields.only('global_average_pool', false);
  fields.only('input_patchnorm', false);
  // Both kinds are stored among the weights.
  fields.only('pos_embed_type', 'learnable', 'sin_cos_2d');
  fields.ignore(['patch_dropout', 'attn_pooler_queries', 'attn_pooler_heads']);
  const headWidth = fields.positive('head_width') ?? 64;
  return { heads: Math.floor(shapes.width / headWidth), epsilon: openClipBlocks(fields, shapes) };
}

function openClipText(fields: ConfigurationFields, shapes: ClipShapes['text']): TowerChoice {
  fields.unset('hf_model_name', 'tokenizer_kwargs');
  fields.only('tokenizer_mode', 'clip');
  const tokenizer = fields.text('hf_tokenizer_name');
  if (tokenizer !== undefined && tokenizer !== '' && !/^openai\/clip-/.test(tokenizer)) {
    throw fields.refusal('hf_tokenizer_name', "nothing, or one of openai/clip-…, whose tokens are CLIP's own");
  }
  fields.same('context_length', shapes.contextLength);
  fields.only('no_causal_mask', false);
  fields.only('pool_type', 'argmax');
  fields.only('embed_cls', false);
  fields.only('proj_type', 'linear');
  fields.only('proj_bias', false);
  fields.only('ln_post_emb', false);
  // Padding follows the end token, where the causal mask hides it; of other text models than CLIP's nothing is left.
  fields.ignore([
    'vocab_size',
    'pad_id',
    'eos_id',
    'hf_model_pretrained',
    'hf_proj_type',
    'hf_pooler_type',
    'proj',
    'pooler_type',
  ]);
  const heads = fields.count('heads') ?? 8;
  return { heads, epsilon: openClipBlocks(fields, shapes) };
}

/** What both towers have. @returns the epsilon of its layer norms */
function openClipBlocks(fields: ConfigurationFields, shapes: TowerShapes): number {
  fields.same('width', shapes.width);
  fields.same('layers', shapes.layers);
  const ratio = fields.positive('mlp_ratio');
  if (ratio !== undefined && Math.trunc(shapes.width * ratio) !== shapes.hidden) {
    throw fields.refusal(
      'mlp_ratio',
      `${shapes.hidden / shapes.width}, as the weights have it; they belong to another configuration`,
    );
  }
  fields.unset('ls_init_value', 'act_kwargs');
  fields.only('block_type', 'default');
  for (const name of [
    'qk_norm',
    'scaled_cosine_attn',
    'scale_heads',
    'scale_attn_inner',
    'scale_attn',
    'scale_fc',
    'final_ln_after_pool',
  ])
    fields.only(name, false);
  fields.ignore(['output_tokens']);
  const norm = fields.below('norm_kwargs');
  const epsilon = norm.positive('eps') ?? CLIP_EPSILON;
  norm.finish();
  fields.finish();
  return epsilon;
}

/** One number, or height and width. */
function sameSide(fields: ConfigurationFields, name: string, side: number): void {
  const value = fields.value(name);
  fields.same(name, Array.isArray(value) ? [side, side] : side);
}

/** What `CLIPVisionConfig` and `CLIPTextConfig` take by default. */
const HUGGINGFACE_USUAL = { hidden_act: 'quick_gelu', layer_norm_eps: CLIP_EPSILON } as const;

/**
 * Reads HuggingFace's `config.json` of a `CLIPModel`, with the preprocessing beside it. What it leaves out is as in
 * HuggingFace's program. Undefined where there is no such file.
 * @throws WeightsError `weights/config` naming the field that cannot be honoured, or does not belong to these weights
 */
export function huggingFaceConfiguration(source: string, shapes: ClipShapes): ClipConfiguration | undefined {
  const file = path.join(folderOf(source), 'config.json');
  const content = readJsonObject(file);
  if (content === undefined) return undefined;
  const root = new ConfigurationFields(file, '', content);
  root.only('model_type', 'clip');
  root.same('projection_dim', shapes.embedDimension);
  root.ignore(['logit_scale_init_value']);
  const vision = huggingFaceSection(root, 'vision_config');
  const text = huggingFaceSection(root, 'text_config');
  neutral(root);
  const patch = shapes.vision.patchSize;
  vision.only('model_type', 'clip_vision_model', 'clip', '');
  vision.only('num_channels', 3);
  sameSide(vision, 'patch_size', patch);
  sameSide(vision, 'image_size', patch * shapes.vision.gridSize);
  text.only('model_type', 'clip_text_model', 'clip', '');
  text.same('max_position_embeddings', shapes.text.contextLength);
  text.ignore(['vocab_size']);
  // A text's feature is taken at the place of its largest id: CLIP's end token, or a vocabulary's last. 2 says the same in older files.
  text.only('eos_token_id', ...new Set([49407, 2, shapes.tokenRows - 1]));
  const activations = [vision, text].map((tower) => tower.text('hidden_act') ?? HUGGINGFACE_USUAL.hidden_act) as [
    string,
    string,
  ];
  return {
    vision: huggingFaceTower(vision, shapes.vision, 12),
    text: huggingFaceTower(text, shapes.text, 8),
    activation: () => oneActivation(file, activations),
    input: huggingFaceInput(source),
  };
}

/** A tower's fields. Older files have them twice; those of `…_dict` win, even where they are the usual ones and only left out. */
function huggingFaceSection(root: ConfigurationFields, name: string): ConfigurationFields {
  root.below(name);
  const content = root.value(name) ?? {};
  const twice = root.value(`${name}_dict`);
  if (!isObject(content) || !isObject(twice)) return root.below(name);
  const usualHeads = { num_attention_heads: name === 'vision_config' ? 12 : 8 };
  return new ConfigurationFields(root.file, name, { ...content, ...HUGGINGFACE_USUAL, ...usualHeads, ...twice });
}

function huggingFaceTower(fields: ConfigurationFields, shapes: TowerShapes, usualHeads: number): TowerChoice {
  fields.same('hidden_size', shapes.width);
  fields.same('num_hidden_layers', shapes.layers);
  fields.same('intermediate_size', shapes.hidden);
  fields.ignore(['projection_dim']);
  const heads = fields.count('num_attention_heads') ?? usualHeads;
  const epsilon = fields.positive('layer_norm_eps') ?? HUGGINGFACE_USUAL.layer_norm_eps;
  neutral(fields);
  return { heads, epsilon };
}

function neutral(fields: ConfigurationFields): void {
  fields.unset('pruned_heads');
  HUGGINGFACE_NEUTRAL.forEach((names) => fields.ignore(names));
  fields.finish();
}

function oneActivation(file: string, [vision, text]: readonly [string, string]): Activation {
  if (vision !== text) {
    throw new WeightsError(
      'weights/config',
      `${file}: the towers have different activations, ${vision} and ${text}; one for both is needed`,
      { path: file, vision, text },
    );
  }
  if (vision === 'quick_gelu') return 'quick-gelu';
  if (vision === 'gelu') return 'gelu';
  throw new WeightsError(
    'weights/config',
    `${file}: hidden_act: activation ${vision} is unknown; quick_gelu and gelu are supported`,
    { path: file, field: 'hidden_act', found: vision },
  );
}
