import * as fs from 'node:fs';
import * as path from 'node:path';
import { TOKEN_IDS } from '../../lib/weights/clip-keys';
import { openTensorsSync } from '../../lib/weights/open';
import { type TensorToWrite, writeSafetensors } from '../../lib/weights/safetensors';

const checkpoint = path.join(__dirname, '..', '..', 'checkpoints', 'nano.safetensors');

/** The embedded backbone's tensors with the whole vocabulary, as other programs keep them. */
function nanoTensors(): Record<string, TensorToWrite> {
  const source = openTensorsSync(checkpoint);
  try {
    const ids = source.readIntegers(TOKEN_IDS);
    const tensors: Record<string, TensorToWrite> = {};
    for (const { name, shape } of source.entries.values()) {
      if (name !== TOKEN_IDS && name !== 'token_embedding.weight')
        tensors[name] = { dtype: 'float16', shape, data: source.read(name) };
    }
    const rows = source.read('token_embedding.weight');
    const width = rows.length / ids.length;
    const table = new Float32Array(49408 * width);
    ids.forEach((id, row) => table.set(rows.subarray(row * width, (row + 1) * width), id * width));
    return { ...tensors, 'token_embedding.weight': { dtype: 'float16', shape: [49408, width], data: table } };
  } finally {
    source.close();
  }
}

/** What open_clip's model configuration of the embedded backbone would be. */
export const nanoModel = {
  embed_dim: 128,
  quick_gelu: true,
  vision_cfg: { image_size: 112, layers: 6, width: 128, patch_size: 8 },
  text_cfg: { context_length: 77, vocab_size: 49408, width: 128, heads: 2, layers: 3 },
};

/** Writes the embedded backbone as a file of open_clip's; returns its place. */
export function writeNanoFile(file: string): string {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  writeSafetensors(file, nanoTensors(), {});
  return file;
}

/** A folder of those weights with configurations; the weights are shared, not copied. */
export function nanoFolder(folder: string, weights: string, configurations: Readonly<Record<string, unknown>>): string {
  fs.mkdirSync(folder, { recursive: true });
  fs.linkSync(weights, path.join(folder, path.basename(weights)));
  for (const [name, content] of Object.entries(configurations))
    fs.writeFileSync(path.join(folder, name), JSON.stringify(content));
  return folder;
}

const BLOCK_PARTS: Readonly<Record<string, string>> = {
  ln_1: 'layer_norm1',
  ln_2: 'layer_norm2',
  'mlp.c_fc': 'mlp.fc1',
  'mlp.c_proj': 'mlp.fc2',
  'attn.out_proj': 'self_attn.out_proj',
};
const SINGLES: Readonly<Record<string, string>> = {
  'visual.class_embedding': 'vision_model.embeddings.class_embedding',
  'visual.conv1.weight': 'vision_model.embeddings.patch_embedding.weight',
  'visual.positional_embedding': 'vision_model.embeddings.position_embedding.weight',
  'token_embedding.weight': 'text_model.embeddings.token_embedding.weight',
  positional_embedding: 'text_model.embeddings.position_embedding.weight',
  logit_scale: 'logit_scale',
};

/** Writes the embedded backbone under HuggingFace's names. */
export function writeNanoAsHuggingFace(file: string): string {
  const tensors: Record<string, TensorToWrite> = {};
  const put = (name: string, shape: readonly number[], data: Float32Array): void =>
    void (tensors[name] = { dtype: 'float16', shape, data });
  for (const [name, { shape, data }] of Object.entries(nanoTensors())) {
    const values = data as Float32Array;
    const single = SINGLES[name];
    const norm = /^(visual\.)?(ln_pre|ln_post|ln_final)\.(weight|bias)$/.exec(name);
    const block = /^(visual\.)?transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)$/.exec(
      name.replace('in_proj_', 'in_proj.'),
    );
    if (single !== undefined) put(single, shape, values);
    else if (name === 'visual.proj' || name === 'text_projection') {
      const [rows = 0, columns = 0] = shape;
      const turned = Float32Array.from(
        { length: values.length },
        (_, at) => values[(at % rows) * columns + Math.floor(at / rows)] as number,
      );
      put(name === 'visual.proj' ? 'visual_projection.weight' : 'text_projection.weight', [columns, rows], turned);
    } else if (norm) {
      const theirs = {
        ln_pre: 'vision_model.pre_layrnorm',
        ln_post: 'vision_model.post_layernorm',
        ln_final: 'text_model.final_layer_norm',
      }[norm[2] as 'ln_pre'];
      put(`${theirs}.${norm[3]}`, shape, values);
    } else if (block) {
      const place = `${block[1] ? 'vision_model' : 'text_model'}.encoder.layers.${block[2]}`;
      const [part, kind] = [block[3] as string, block[4] as string];
      if (part !== 'attn.in_proj') put(`${place}.${BLOCK_PARTS[part]}.${kind}`, shape, values);
      else {
        const third = values.length / 3;
        ['q', 'k', 'v'].forEach((letter, index) =>
          put(
            `${place}.self_attn.${letter}_proj.${kind}`,
            [(shape[0] as number) / 3, ...shape.slice(1)],
            values.slice(index * third, (index + 1) * third),
          ),
        );
      }
    } else throw new Error(`no place for ${name}`);
  }
  fs.mkdirSync(path.dirname(file), { recursive: true });
  writeSafetensors(file, tensors, {});
  return file;
}

/** HuggingFace's configuration of the embedded backbone. */
export const nanoHuggingFace = {
  model_type: 'clip',
  projection_dim: 128,
  vision_config: {
    hidden_size: 128,
    intermediate_size: 512,
    num_hidden_layers: 6,
    num_attention_heads: 2,
    image_size: 112,
    patch_size: 8,
    hidden_act: 'quick_gelu',
    layer_norm_eps: 1e-5,
  },
  text_config: {
    hidden_size: 128,
    intermediate_size: 512,
    num_hidden_layers: 3,
    num_attention_heads: 2,
    max_position_embeddings: 77,
    hidden_act: 'quick_gelu',
    layer_norm_eps: 1e-5,
    eos_token_id: 2,
  },
};
