import type { NameMapping, StoredParts } from './weight-reader';

/**
 * Names of the parameters of DINO and DINOv2. Canonical are those of the official state dicts; this file says where
 * HuggingFace's ports keep the same tensors, and which tensors of a file are not parameters of an encoder.
 */
export type DinoLayout = 'official' | 'huggingface';

/** Tensors beside the encoder's: what only training reads, and heads. */
export const DINO_IGNORABLE: readonly RegExp[] = [
  /(^|\.)mask_token$/,
  /(^|\.)(head|dino_head|ibot_head|classifier|pooler|decoder)\./,
  /(^|\.)register_tokens$/,
];

/**
 * Official names below a prefix, such as `teacher.backbone.` in whole training checkpoints.
 * @param placeOf where a block is, such as `2.13` for block 13 of a file whose blocks are cut into chunks
 */
export function officialNames(prefix: string, placeOf: (block: number) => string): NameMapping {
  return (path) => ({
    from: [prefix + path.replace(/^blocks\.(\d+)\./, (_, block: string) => `blocks.${placeOf(Number(block))}.`)],
  });
}

/** Both ports have these. */
const HUGGINGFACE_SINGLES: Readonly<Record<string, string>> = {
  cls_token: 'embeddings.cls_token',
  pos_embed: 'embeddings.position_embeddings',
  register_tokens: 'embeddings.register_tokens',
  'patch_embed.proj.weight': 'embeddings.patch_embeddings.projection.weight',
  'patch_embed.proj.bias': 'embeddings.patch_embeddings.projection.bias',
  'norm.weight': 'layernorm.weight',
  'norm.bias': 'layernorm.bias',
};

/** `Dinov2Model` and `Dinov2WithRegistersModel` on the left of each pair, `ViTModel`, which DINO was ported to, on the right. */
const HUGGINGFACE_BLOCK_PARTS: Readonly<Record<string, readonly [dinov2: string, vit: string]>> = {
  norm1: ['norm1', 'layernorm_before'],
  norm2: ['norm2', 'layernorm_after'],
  'attn.proj': ['attention.output.dense', 'attention.output.dense'],
  'mlp.fc1': ['mlp.fc1', 'intermediate.dense'],
  'mlp.fc2': ['mlp.fc2', 'output.dense'],
  'mlp.w12': ['mlp.weights_in', 'mlp.weights_in'],
  'mlp.w3': ['mlp.weights_out', 'mlp.weights_out'],
};

/** HuggingFace's names: query, key and value apart. `isVit` for the port of DINO. */
export function huggingFaceDinoNames(prefix: string, isVit: boolean): NameMapping {
  return (path) => ({ from: huggingFaceParts(path, isVit).from.map((name) => prefix + name) });
}

function huggingFaceParts(path: string, isVit: boolean): StoredParts {
  const single = HUGGINGFACE_SINGLES[path];
  if (single !== undefined) return { from: [single] };
  const block = /^blocks\.(\d+)\.(.+?)\.(weight|bias|gamma)$/.exec(path);
  if (!block) return { from: [path] };
  const [, index, part, kind] = block as unknown as [string, string, string, string];
  const place = `encoder.layer.${index}`;
  if (part === 'attn.qkv')
    return { from: ['query', 'key', 'value'].map((name) => `${place}.attention.attention.${name}.${kind}`) };
  if (kind === 'gamma') return { from: [`${place}.${part.replace('ls', 'layer_scale')}.lambda1`] };
  return { from: [`${place}.${HUGGINGFACE_BLOCK_PARTS[part]?.[isVit ? 1 : 0] ?? part}.${kind}`] };
}
