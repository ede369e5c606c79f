import * as path from 'node:path';
import type { DinoSizes } from '../encoders/dino-transformer';
import type { SamSizes } from '../encoders/sam';
import { VISION_EPSILON } from '../layers/vision-block';
import { SAM_EPSILON } from '../layers/sam-block';
import { ConfigurationFields, folderOf, isObject, readJsonObject } from './configuration';
import { HUGGINGFACE_NEUTRAL } from './huggingface-fields';

/** What HuggingFace's `config.json` of a vision model determines beyond its tensors. */
export interface DinoConfiguration {
  readonly modelType: string | undefined;
  readonly heads: number | undefined;
  readonly epsilon: number | undefined;
}

/** HuggingFace's usual number of heads, where the configuration of a Dinov2Model or ViTModel leaves it out. */
const USUAL_HEADS = 12;
/** `ViTConfig`'s and `Dinov2Config`'s. */
const USUAL_EPSILON: Readonly<Record<string, number>> = { vit: 1e-12 };

/** Fields that only classifiers, poolers, masked training and other outputs than the last features have. */
const OF_OTHER_HEADS = [
  'layerscale_value',
  'use_mask_token',
  'out_features',
  'out_indices',
  'stage_names',
  'apply_layernorm',
  'reshape_hidden_states',
  'encoder_stride',
  'pooler_act',
  'pooler_output_size',
  'hidden_dropout_prob',
];

/**
 * Reads `config.json` beside HuggingFace's weights of DINO or DINOv2. Undefined where there is no such file.
 * @throws WeightsError `weights/config` naming the field that cannot be honoured, or does not belong to these weights
 */
export function dinoConfiguration(source: string, sizes: Omit<DinoSizes, 'heads'>): DinoConfiguration | undefined {
  const file = path.join(folderOf(source), 'config.json');
  const content = readJsonObject(file);
  if (content === undefined) return undefined;
  const fields = new ConfigurationFields(file, '', content);
  fields.only('model_type', 'dinov2', 'dinov2_with_registers', 'vit');
  const modelType = fields.text('model_type');
  fields.only('hidden_act', 'gelu');
  fields.same('hidden_size', sizes.width);
  fields.same('num_hidden_layers', sizes.layers);
  fields.same('patch_size', sizes.patchSize);
  fields.only('num_channels', 3);
  const side = fields.count('image_size');
  if (side !== undefined && Math.floor(side / sizes.patchSize) !== sizes.gridSize) {
    throw fields.refusal(
      'image_size',
      `a size for the weights' grid of ${sizes.gridSize} patches of ${sizes.patchSize}; they belong to another configuration`,
    );
  }
  if (sizes.feedForward === 'mlp') fields.same('intermediate_size', sizes.hidden);
  const ratio = fields.positive('mlp_ratio');
  if (ratio !== undefined && sizes.feedForward === 'mlp' && Math.trunc(sizes.width * ratio) !== sizes.hidden) {
    throw fields.refusal('mlp_ratio', `${sizes.hidden / sizes.width}, as the weights have it`);
  }
  fields.same('num_register_tokens', sizes.registers);
  const gated = fields.flag('use_swiglu_ffn');
  if (gated !== undefined && gated !== (sizes.feedForward === 'swiglu'))
    throw fields.refusal('use_swiglu_ffn', `${!gated}, as the weights have it`);
  fields.only('qkv_bias', true);
  // How positions are resized follows from the registers, as in the official program.
  fields.only('interpolate_antialias', sizes.registers > 0);
  fields.only('interpolate_offset', sizes.registers > 0 ? 0 : 0.1);
  const heads = fields.count('num_attention_heads') ?? USUAL_HEADS;
  const epsilon = fields.positive('layer_norm_eps') ?? USUAL_EPSILON[modelType ?? ''] ?? VISION_EPSILON;
  fields.ignore(OF_OTHER_HEADS);
  finish(fields);
  return { modelType, heads, epsilon };
}

/**
 * Reads `config.json` beside HuggingFace's weights of SAM. Undefined where there is no such file.
 * @returns the epsilon of the blocks' layer norms
 * @throws as `dinoConfiguration`
 */
export function samConfiguration(source: string, sizes: SamSizes): { readonly epsilon: number } | undefined {
  const file = path.join(folderOf(source), 'config.json');
  const content = readJsonObject(file);
  if (content === undefined) return undefined;
  const root = new ConfigurationFields(file, '', content);
  root.only('model_type', 'sam', 'sam_vision_model');
  const isVision = content['model_type'] === 'sam_vision_model' && !isObject(content['vision_config']);
  const fields = isVision ? root : root.below('vision_config');
  if (!isVision) {
    root.ignore(['prompt_encoder_config', 'mask_decoder_config']);
    finish(root);
    fields.only('model_type', 'sam_vision_model', '');
  }
  fields.same('hidden_size', sizes.width);
  fields.same('num_hidden_layers', sizes.layers);
  fields.same('num_attention_heads', sizes.heads);
  fields.same('patch_size', sizes.patchSize);
  fields.same('image_size', sizes.gridSize * sizes.patchSize);
  fields.same('output_channels', sizes.channels);
  if (sizes.windowSize > 0) fields.same('window_size', sizes.windowSize);
  fields.same('global_attn_indexes', sizes.globalBlocks);
  fields.only('num_channels', 3);
  fields.only('hidden_act', 'gelu');
  fields.only('qkv_bias', true);
  fields.only('use_abs_pos', true);
  fields.only('use_rel_pos', true);
  const epsilon = fields.positive('layer_norm_eps') ?? SAM_EPSILON;
  // The published files have an intermediate_size and a projection_dim that nothing reads.
  fields.ignore(['mlp_dim', 'mlp_ratio', 'intermediate_size', 'projection_dim', 'num_pos_feats', 'window_size']);
  finish(fields);
  return { epsilon };
}

function finish(fields: ConfigurationFields): void {
  fields.unset('pruned_heads');
  HUGGINGFACE_NEUTRAL.forEach((names) => fields.ignore(names));
  fields.finish();
}
