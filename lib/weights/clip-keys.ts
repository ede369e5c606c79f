import type { NameMapping, StoredParts } from './weight-reader';
import type { ClipSizes, TransformerSizes } from '../encoders/clip-sizes';

/**
 * Names of CLIP's parameters. Canonical are those of OpenAI's state dict; this file says where the other two families
 * of files keep the same tensors.
 */
export type ClipLayout = 'openai' | 'huggingface' | 'open_clip' | 'nano';

/** Tensors that go along with CLIP weights and carry no parameters: position counters, masks, sizes as integers. */
export const CLIP_IGNORABLE: readonly RegExp[] = [
  /(^|\.)position_ids$/,
  /(^|\.)attn_mask$/,
  /(^|\.)(input_resolution|context_length|vocab_size)$/,
];

/** Embedded backbones keep only part of the token table: the vocabulary ids of its rows, int32 `[n]`, ascending. */
export const TOKEN_IDS = 'token_embedding.ids';

/** OpenAI and open_clip: the same names, perhaps all below a prefix, and the text tower perhaps below `text.`. */
export function openAiNames(prefix: string, textPrefix: string): NameMapping {
  return (path) => {
    const isText = !path.startsWith('visual.') && path !== 'logit_scale';
    return { from: [`${prefix}${isText ? textPrefix : ''}${path}`] };
  };
}

const HUGGINGFACE_BLOCK_PARTS: Readonly<Record<string, string>> = {
  ln_1: 'layer_norm1',
  ln_2: 'layer_norm2',
  'mlp.c_fc': 'mlp.fc1',
  'mlp.c_proj': 'mlp.fc2',
  'attn.out_proj': 'self_attn.out_proj',
};

/** The rest of HuggingFace's `CLIPModel`. The misspelt `pre_layrnorm` is theirs. */
const HUGGINGFACE_SINGLES: Readonly<Record<string, StoredParts>> = {
  logit_scale: { from: ['logit_scale'] },
  'visual.class_embedding': { from: ['vision_model.embeddings.class_embedding'] },
  'visual.conv1.weight': { from: ['vision_model.embeddings.patch_embedding.weight'] },
  'visual.positional_embedding': { from: ['vision_model.embeddings.position_embedding.weight'] },
  'visual.ln_pre.weight': { from: ['vision_model.pre_layrnorm.weight'] },
  'visual.ln_pre.bias': { from: ['vision_model.pre_layrnorm.bias'] },
  'visual.ln_post.weight': { from: ['vision_model.post_layernorm.weight'] },
  'visual.ln_post.bias': { from: ['vision_model.post_layernorm.bias'] },
  'visual.proj': { from: ['visual_projection.weight'], transposed: true },
  'token_embedding.weight': { from: ['text_model.embeddings.token_embedding.weight'] },
  positional_embedding: { from: ['text_model.embeddings.position_embedding.weight'] },
  'ln_final.weight': { from: ['text_model.final_layer_norm.weight'] },
  'ln_final.bias': { from: ['text_model.final_layer_norm.bias'] },
  text_projection: { from: ['text_projection.weight'], transposed: true },
};

/** HuggingFace's `CLIPModel`: query, key and value apart, projections the other way round. */
export function huggingFaceNames(prefix: string): NameMapping {
  return (path) => {
    const { from, transposed = false } = HUGGINGFACE_SINGLES[path] ?? huggingFaceBlockNames(path);
    return { from: from.map((name) => `${prefix}${name}`), transposed };
  };
}

function huggingFaceBlockNames(path: string): StoredParts {
  const block = /^(visual\.)?transformer\.resblocks\.(\d+)\.(.+)$/.exec(path);
  if (!block) return { from: [path] };
  const tower = block[1] ? 'vision_model' : 'text_model';
  const part = block[3] as string;
  const place = `${tower}.encoder.layers.${block[2]}`;
  const joined = /^attn\.in_proj_(weight|bias)$/.exec(part);
  if (joined) return { from: ['q', 'k', 'v'].map((letter) => `${place}.self_attn.${letter}_proj.${joined[1]}`) };
  const [, stem = part, kind = ''] = /^(.+)\.(weight|bias)$/.exec(part) ?? [];
  return { from: [`${place}.${HUGGINGFACE_BLOCK_PARTS[stem] ?? stem}.${kind}`] };
}

/**
 * Every parameter of a CLIP network by canonical name, with its shape: what a complete file holds, and what to draw for
 * a network that is to be trained.
 * @param tokenRows rows of the token table where it is not the whole vocabulary
 */
export function clipParameterShapes(
  sizes: ClipSizes,
  tokenRows = sizes.text.vocabularySize,
): Map<string, readonly number[]> {
  const { vision, text, embedDimension } = sizes;
  return new Map<string, readonly number[]>([
    ['visual.class_embedding', [vision.width]],
    ['visual.positional_embedding', [vision.gridSize ** 2 + 1, vision.width]],
    ['visual.proj', [vision.width, embedDimension]],
    ['visual.conv1.weight', [vision.width, 3, vision.patchSize, vision.patchSize]],
    ...normShapes('visual.ln_pre', vision.width),
    ...blockShapes('visual.transformer.resblocks', vision),
    ...normShapes('visual.ln_post', vision.width),
    ['token_embedding.weight', [tokenRows, text.width]],
    ['positional_embedding', [text.contextLength, text.width]],
    ...blockShapes('transformer.resblocks', text),
    ...normShapes('ln_final', text.width),
    ['text_projection', [text.width, embedDimension]],
    ['logit_scale', []],
  ]);
}

type NamedShape = readonly [string, readonly number[]];

const normShapes = (name: string, width: number): NamedShape[] => [
  [`${name}.weight`, [width]],
  [`${name}.bias`, [width]],
];

const linearShapes = (name: string, outputs: number, inputs: number): NamedShape[] => [
  [`${name}.weight`, [outputs, inputs]],
  [`${name}.bias`, [outputs]],
];

function blockShapes(name: string, { layers, width, hidden = 4 * width }: TransformerSizes): NamedShape[] {
  return Array.from({ length: layers }, (_, index): NamedShape[] => {
    const block = `${name}.${index}`;
    return [
      [`${block}.attn.in_proj_weight`, [3 * width, width]],
      [`${block}.attn.in_proj_bias`, [3 * width]],
      ...linearShapes(`${block}.attn.out_proj`, width, width),
      ...normShapes(`${block}.ln_1`, width),
      ...linearShapes(`${block}.mlp.c_fc`, hidden, width),
      ...linearShapes(`${block}.mlp.c_proj`, width, hidden),
      ...normShapes(`${block}.ln_2`, width),
    ];
  }).flat();
}
