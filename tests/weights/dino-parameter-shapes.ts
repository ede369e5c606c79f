import type { DinoSizes } from '../../lib/encoders/dino-transformer';

/** Every parameter by canonical name with its shape in the file: what a complete file holds. */
export function dinoParameterShapes(sizes: DinoSizes): Map<string, readonly number[]> {
  const { width, layers, patchSize, gridSize, registers } = sizes;
  return new Map<string, readonly number[]>([
    ['cls_token', [1, 1, width]],
    ['pos_embed', [1, 1 + gridSize ** 2, width]],
    ...(registers > 0 ? [['register_tokens', [1, registers, width]] as const] : []),
    ['patch_embed.proj.weight', [width, 3, patchSize, patchSize]],
    ['patch_embed.proj.bias', [width]],
    ...Array.from({ length: layers }, (_, index) => blockShapes(`blocks.${index}`, sizes)).flat(),
    ['norm.weight', [width]],
    ['norm.bias', [width]],
  ]);
}

type NamedShape = readonly [string, readonly number[]];

function blockShapes(block: string, { width, hidden, feedForward, layerScale }: DinoSizes): NamedShape[] {
  const norm = (name: string): NamedShape[] => [
    [`${block}.${name}.weight`, [width]],
    [`${block}.${name}.bias`, [width]],
  ];
  const linear = (name: string, outputs: number, inputs: number): NamedShape[] => [
    [`${block}.${name}.weight`, [outputs, inputs]],
    [`${block}.${name}.bias`, [outputs]],
  ];
  const scale = (name: string): NamedShape[] => (layerScale ? [[`${block}.${name}.gamma`, [width]]] : []);
  const feed =
    feedForward === 'mlp'
      ? [...linear('mlp.fc1', hidden, width), ...linear('mlp.fc2', width, hidden)]
      : [...linear('mlp.w12', 2 * hidden, width), ...linear('mlp.w3', width, hidden)];
  return [
    ...norm('norm1'),
    ...linear('attn.qkv', 3 * width, width),
    ...linear('attn.proj', width, width),
    ...scale('ls1'),
    ...norm('norm2'),
    ...feed,
    ...scale('ls2'),
  ];
}
