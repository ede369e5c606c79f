import type { Normalisation } from '../image/normalisation';
import type { DinoSizes } from '../encoders/dino-transformer';
import { WeightsError } from '../errors';
import type { ParameterSource } from '../layers/crane-layer';
import { VISION_EPSILON } from '../layers/vision-block';
import { DINO_IGNORABLE, type DinoLayout, huggingFaceDinoNames, officialNames } from './dino-keys';
import { IMAGENET_INPUT, INPUT_KEY, spatialNormalisation, storedNormalisation } from './input-rule';
import { openTensors } from './open';
import { parametersOf } from './parameters';
import { dinoConfiguration } from './spatial-configuration';
import { SPATIAL_METADATA, storedEpsilon } from './spatial-metadata';
import { outside } from './name-patterns';
import { heldInstead } from '../files/shown-name';
import type { TensorSource } from './tensor-source';
import { WeightReader } from './weight-reader';

export type DinoFamily = 'dinov2' | 'dino';

/** An open DINO or DINOv2 file: its encoder's tensors under the official names, and the sizes that follow from them. */
export interface DinoWeights {
  readonly family: DinoFamily;
  readonly layout: DinoLayout;
  readonly path: string;
  readonly sizes: DinoSizes;
  /** What its images are normalised with. */
  readonly normalisation: Normalisation;
  /** Reads parameters by official name. */
  readonly parameters: ParameterSource;
  /** Checks that nothing of the encoder was left over. @throws WeightsError */
  finish(): void;
  close(): void;
}

export interface OpenDinoOptions {
  /** Number of attention heads, which no tensor determines; a configuration or metadata beside the weights, else width / 64. */
  readonly heads?: number;
  /** What the file is, where that is misstated. */
  readonly family?: DinoFamily;
}

/** Metadata that makes `openDinoWeights` restore this family, number of heads, epsilon and input. */
export function dinoMetadata(
  family: DinoFamily,
  { heads, epsilon }: DinoSizes,
  { mean, std }: Normalisation = IMAGENET_INPUT,
): Record<string, string> {
  return {
    [SPATIAL_METADATA.family]: family,
    [SPATIAL_METADATA.heads]: String(heads),
    ...(epsilon === undefined ? {} : { [SPATIAL_METADATA.epsilon]: String(epsilon) }),
    [INPUT_KEY]: JSON.stringify({ mean, std }),
  };
}

/**
 * Opens the encoder of a DINO or DINOv2 file and reads its sizes off the tensors: official state dicts, blocks in chunks
 * or not; whole training checkpoints, of which the teacher is read; HuggingFace's `ViTModel` of DINO, `Dinov2Model` and
 * `Dinov2WithRegistersModel`, as file or folder. Close the result when the network is built.
 *
 * Which of the two it is: what the options say, else the metadata, else `model_type` in a config.json beside the
 * weights, else the tensors: LayerScale, registers, mask token, gated feed-forward or patches of 14 make it DINOv2.
 * @throws WeightsError where this is not such an encoder, or an incomplete one
 */
export async function openDinoWeights(source: string, options: OpenDinoOptions = {}): Promise<DinoWeights> {
  return dinoWeightsIn(source, await openTensors(source), options);
}

/**
 * The same of tensors that are open already; they are closed with the result, or where this throws.
 * @param source the file or folder that they are of, and that configurations lie beside
 */
export function dinoWeightsIn(source: string, tensors: TensorSource, options: OpenDinoOptions = {}): DinoWeights {
  try {
    const found = findLayout(tensors);
    const reader = new WeightReader(tensors, {
      mapping:
        found.layout === 'huggingface'
          ? huggingFaceDinoNames(found.prefix, found.isVit)
          : officialNames(found.prefix, (block) => found.places.get(block) ?? String(block)),
      ignorable: [...DINO_IGNORABLE, ...outside(found.prefix)],
    });
    const shapes = readShapes(reader, found);
    // Our own files say all of it.
    const isOwn = SPATIAL_METADATA.family in tensors.metadata;
    const isTheirs = found.layout === 'huggingface' && !isOwn;
    const config = isTheirs ? dinoConfiguration(source, shapes) : undefined;
    const epsilon = storedEpsilon(tensors) ?? config?.epsilon;
    const sizes: DinoSizes = {
      ...shapes,
      heads: checkedHeads(source, shapes.width, options.heads ?? readHeads(tensors) ?? config?.heads),
      ...(epsilon === undefined || epsilon === VISION_EPSILON ? {} : { epsilon }),
    };
    return {
      family: options.family ?? familyOf(tensors, found, config?.modelType, sizes),
      layout: found.layout,
      path: source,
      sizes,
      normalisation: {
        ...IMAGENET_INPUT,
        ...(isTheirs ? spatialNormalisation(source) : undefined),
        ...storedNormalisation(tensors),
      },
      parameters: parametersOf(reader),
      finish: () => reader.finish(),
      close: () => tensors.close(),
    };
  } catch (error) {
    tensors.close();
    throw error;
  }
}

interface FoundLayout {
  readonly layout: DinoLayout;
  /** The prefix of all names, such as `teacher.backbone.`. */
  readonly prefix: string;
  /** Where each block is below `blocks.`: its number, or chunk and number. */
  readonly places: ReadonlyMap<number, string>;
  readonly layers: number;
  /** Of HuggingFace's two sets of names the one that DINO was ported to. */
  readonly isVit: boolean;
}

/** Class token and patch projection, under the names of each layout. */
const MARKS = [
  {
    layout: 'official',
    token: 'cls_token',
    patches: 'patch_embed.proj.weight',
    block: /^blocks\.((?:\d+\.)?(\d+))\.norm1\.weight$/,
  },
  {
    layout: 'huggingface',
    token: 'embeddings.cls_token',
    patches: 'embeddings.patch_embeddings.projection.weight',
    block: /^encoder\.layer\.((\d+))\.(?:norm1|layernorm_before)\.weight$/,
  },
] as const;

function findLayout(tensors: TensorSource): FoundLayout {
  const names = [...tensors.entries.keys()];
  for (const { layout, token, patches, block } of MARKS) {
    const prefixes = names
      .filter((name) => name === patches || name.endsWith(`.${patches}`))
      .map((name) => name.slice(0, -patches.length))
      .filter((prefix) => tensors.entries.has(prefix + token));
    // A whole training checkpoint holds both; the teacher is the one that features are taken from.
    const prefix = prefixes.find((candidate) => /(^|\.)teacher\./.test(candidate)) ?? prefixes[0];
    if (prefix === undefined) continue;
    const own = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
    const places = new Map(
      own.flatMap((name) => {
        const [, place, index] = block.exec(name) ?? [];
        return place === undefined ? [] : [[Number(index), place] as const];
      }),
    );
    // By the highest number, so that a block missing in between is reported by name.
    return {
      layout,
      prefix,
      places,
      layers: 1 + Math.max(0, ...places.keys()),
      isVit: own.some((name) => name.endsWith('layernorm_before.weight')),
    };
  }
  throw notDino(tensors, names);
}

function notDino(tensors: TensorSource, names: readonly string[]): WeightsError {
  const any = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  const why = any(/(^|\.)attn\.rel_pos_h$/)
    ? 'it is a SAM image encoder; name it as sam'
    : any(/(^|\.)visual\.(conv1|class_embedding|layer1)|(^|\.)vision_model\./)
      ? 'it is CLIP; give it as backbone'
      : any(/prompt_learner\./)
        ? 'it holds trained prompts; give it as prompts'
        : any(/rope_embed\.|storage_tokens$/)
          ? 'it is DINOv3, which is another network'
          : any(/(^|\.)layer1\.0\.conv1\.weight$/)
            ? 'it is a ResNet; a vision transformer is needed'
            : any(/(^|\.)reg_token$/)
              ? "its names are those of timm, which are not read; the official file or HuggingFace's is needed"
              : heldInstead(names);
  return new WeightsError(
    'weights/not-dino',
    `${tensors.path} is not a DINO or DINOv2 encoder: cls_token and patch_embed.proj.weight (official) or embeddings.cls_token and embeddings.patch_embeddings.projection.weight (HuggingFace) were expected, but ${why}`,
    { path: tensors.path },
  );
}

function readHeads({ metadata, path: file }: TensorSource): number | undefined {
  const text = metadata[SPATIAL_METADATA.heads];
  if (text === undefined || /^[1-9]\d*$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new WeightsError(
    'weights/config',
    `${file}: its metadata ${SPATIAL_METADATA.heads} is ${JSON.stringify(text)}, which is not a number of heads`,
    { path: file },
  );
}

function familyOf(
  tensors: TensorSource,
  found: FoundLayout,
  modelType: string | undefined,
  sizes: DinoSizes,
): DinoFamily {
  const own = tensors.metadata[SPATIAL_METADATA.family];
  if (own === 'dinov2' || own === 'dino') return own;
  if (modelType === 'dinov2' || modelType === 'dinov2_with_registers') return 'dinov2';
  if (modelType === 'vit') return 'dino';
  const hasMaskToken = [`${found.prefix}mask_token`, `${found.prefix}embeddings.mask_token`].some((name) =>
    tensors.entries.has(name),
  );
  return sizes.layerScale ||
    sizes.registers > 0 ||
    sizes.feedForward === 'swiglu' ||
    sizes.patchSize === 14 ||
    (hasMaskToken && !found.isVit)
    ? 'dinov2'
    : 'dino';
}

function readShapes(reader: WeightReader, found: FoundLayout): Omit<DinoSizes, 'heads'> {
  const wrong = (reason: string): WeightsError =>
    new WeightsError('weights/sizes', `${reader.source.path}: ${reason}`, { path: reader.source.path });
  const [width, colours, patchSize, patchWidth] = axes(reader, 'patch_embed.proj.weight', 4) as readonly [
    number,
    number,
    number,
    number,
  ];
  const positions = axes(reader, 'pos_embed', 3)[1] as number;
  const gridSize = Math.round(Math.sqrt(positions - 1));
  if (colours !== 3 || patchSize !== patchWidth) {
    throw wrong(
      `patch_embed.proj.weight has shape [${[width, colours, patchSize, patchWidth].join(', ')}]; square patches of three colours are needed`,
    );
  }
  if (gridSize < 1 || gridSize ** 2 + 1 !== positions)
    throw wrong(`pos_embed has ${positions} rows, which is not one more than a square grid`);
  const isGated = reader.has('blocks.0.mlp.w12.weight');
  return {
    width,
    layers: found.layers,
    patchSize,
    gridSize,
    registers: reader.has('register_tokens') ? (reader.shapeOf('register_tokens')[1] ?? 0) : 0,
    feedForward: isGated ? 'swiglu' : 'mlp',
    hidden: isGated
      ? (axes(reader, 'blocks.0.mlp.w3.weight', 2)[1] as number)
      : (axes(reader, 'blocks.0.mlp.fc1.weight', 2)[0] as number),
    layerScale: reader.has('blocks.0.ls1.gamma'),
  };
}

function checkedHeads(file: string, width: number, said: number | undefined): number {
  const heads = said ?? width / 64;
  if (Number.isInteger(heads) && heads >= 1 && width % heads === 0) return heads;
  throw new WeightsError(
    'weights/heads',
    `${file}: its ${width} channels are not divisible by ${heads} heads; give the number of heads (official models have one per 64 channels)`,
    { path: file, width, heads },
  );
}

function axes(reader: WeightReader, name: string, count: number): readonly number[] {
  const shape = reader.shapeOf(name);
  if (shape.length === count && !shape.includes(0)) return shape;
  throw new WeightsError(
    'weights/shape',
    `${reader.source.path}: ${name} has shape [${shape.join(', ')}]; ${count} axes, none empty, were expected`,
    { path: reader.source.path, tensor: name, found: shape },
  );
}
