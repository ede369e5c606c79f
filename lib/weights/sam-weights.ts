import type { Normalisation } from '../image/normalisation';
import type { SamSizes } from '../encoders/sam';
import { WeightsError } from '../errors';
import type { ParameterSource } from '../layers/crane-layer';
import { SAM_EPSILON } from '../layers/sam-block';
import { IMAGENET_INPUT, INPUT_KEY, spatialNormalisation, storedNormalisation } from './input-rule';
import { openTensors } from './open';
import { parametersOf } from './parameters';
import { samConfiguration } from './spatial-configuration';
import { SPATIAL_METADATA, storedEpsilon } from './spatial-metadata';
import { literal, outside } from './name-patterns';
import { heldInstead } from '../files/shown-name';
import type { TensorSource } from './tensor-source';
import { type NameMapping, WeightReader } from './weight-reader';

export type SamLayout = 'official' | 'huggingface';

/** An open SAM file: its image encoder's tensors under the official names, and the sizes that follow from them. */
export interface SamWeights {
  readonly family: 'sam';
  readonly layout: SamLayout;
  readonly path: string;
  readonly sizes: SamSizes;
  /** What its images are normalised with. */
  readonly normalisation: Normalisation;
  /** Reads parameters by official name, `image_encoder.…`. */
  readonly parameters: ParameterSource;
  /** Checks that nothing of the image encoder was left over. @throws WeightsError */
  finish(): void;
  close(): void;
}

/** Metadata that makes `openSamWeights` restore this epsilon and input. */
export function samMetadata(
  { epsilon }: SamSizes,
  { mean, std }: Normalisation = IMAGENET_INPUT,
): Record<string, string> {
  return {
    [SPATIAL_METADATA.family]: 'sam',
    ...(epsilon === undefined ? {} : { [SPATIAL_METADATA.epsilon]: String(epsilon) }),
    [INPUT_KEY]: JSON.stringify({ mean, std }),
  };
}

/**
 * Opens the image encoder of a Segment Anything checkpoint and reads its sizes off the tensors: the official
 * `sam_vit_{b,l,h}_….pth` (or such a file with other content around it, or with the image encoder alone), and
 * HuggingFace's `SamModel`. Prompt encoder and mask decoder are not read. Close the result when the network
 * is built.
 * @throws WeightsError where this is not SAM's image encoder, or an incomplete one
 */
export async function openSamWeights(path: string): Promise<SamWeights> {
  return samWeightsIn(path, await openTensors(path));
}

/**
 * The same of tensors that are open already; they are closed with the result, or where this throws.
 * @param path the file or folder that they are of, and that configurations lie beside
 */
export function samWeightsIn(path: string, tensors: TensorSource): SamWeights {
  try {
    const { layout, prefix } = findLayout(tensors);
    const reader = new WeightReader(tensors, { mapping: namesOf(layout, prefix), ignorable: ignorableBeside(prefix) });
    const shapes = readSizes(reader, countBlocks(tensors, layout, prefix));
    const isTheirs = layout === 'huggingface' && !(SPATIAL_METADATA.family in tensors.metadata);
    const epsilon = storedEpsilon(tensors) ?? (isTheirs ? samConfiguration(path, shapes)?.epsilon : undefined);
    const sizes: SamSizes = { ...shapes, ...(epsilon === undefined || epsilon === SAM_EPSILON ? {} : { epsilon }) };
    return {
      family: 'sam',
      layout,
      path,
      sizes,
      normalisation: {
        ...IMAGENET_INPUT,
        ...(isTheirs ? spatialNormalisation(path) : undefined),
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

/** Whether tensors are SAM's: its decomposed relative positions are what no DINO has. */
export function holdSam({ entries }: TensorSource): boolean {
  return [...entries.keys()].some((name) => /(^|\.)attn\.rel_pos_h$/.test(name));
}

interface FoundLayout {
  readonly layout: SamLayout;
  /** The prefix of all names of the image encoder, such as `image_encoder.` or `vision_encoder.`. */
  readonly prefix: string;
}

function findLayout(tensors: TensorSource): FoundLayout {
  for (const [layout, first] of [
    ['official', 'blocks'],
    ['huggingface', 'layers'],
  ] as const) {
    const ending = `${first}.0.attn.rel_pos_h`;
    const name = [...tensors.entries.keys()].find((key) => key === ending || key.endsWith(`.${ending}`));
    if (name !== undefined) return { layout, prefix: name.slice(0, -ending.length) };
  }
  throw notSam(tensors);
}

function notSam(tensors: TensorSource): WeightsError {
  const names = [...tensors.entries.keys()];
  const any = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  const why = any(/(^|\.)image_encoder\.trunk\.|(^|\.)vision_encoder\.backbone\./)
    ? 'it is SAM 2, whose encoder is another network; a first SAM (sam_vit_b, sam_vit_l, sam_vit_h) is needed'
    : any(/(^|\.)image_encoder\.layers\.\d+\.blocks\.|(^|\.)image_encoder\.backbone\./)
      ? 'its image encoder is not a plain vision transformer (as in MobileSAM); sam_vit_b, sam_vit_l or sam_vit_h is needed'
      : any(/(^|\.)(mask_decoder|prompt_encoder)\./)
        ? 'it is a part of SAM without the image encoder'
        : any(/(^|\.)register_tokens$|(^|\.)blocks\.(\d+\.)?0\.ls1\.gamma$/)
          ? 'it is a DINOv2 encoder; name it as dinov2'
          : any(/(^|\.)cls_token$|embeddings\.cls_token$/)
            ? 'it has a class token, as DINO and DINOv2 have; name it as dino or dinov2'
            : any(/(^|\.)visual\.|(^|\.)vision_model\./)
              ? 'it is CLIP; give it as backbone'
              : any(/prompt_learner\./)
                ? 'it holds trained prompts; give it as prompts'
                : heldInstead(names);
  return new WeightsError(
    'weights/not-sam',
    `${tensors.path} has no image encoder of Segment Anything: image_encoder.blocks.0.attn.rel_pos_h (official) or vision_encoder.layers.0.attn.rel_pos_h (HuggingFace) were expected, but ${why}`,
    { path: tensors.path },
  );
}

const HUGGINGFACE_STEMS: readonly (readonly [official: RegExp, theirs: string])[] = [
  [/^blocks\./, 'layers.'],
  [/\.norm([12])\./, '.layer_norm$1.'],
  [/^neck\.0\./, 'neck.conv1.'],
  [/^neck\.1\./, 'neck.layer_norm1.'],
  [/^neck\.2\./, 'neck.conv2.'],
  [/^neck\.3\./, 'neck.layer_norm2.'],
  [/^patch_embed\.proj\./, 'patch_embed.projection.'],
];

const OFFICIAL_PREFIX = 'image_encoder.';

function namesOf(layout: SamLayout, prefix: string): NameMapping {
  return (path) => {
    const official = path.slice(OFFICIAL_PREFIX.length);
    const stored =
      layout === 'official'
        ? official
        : HUGGINGFACE_STEMS.reduce((name, [from, to]) => name.replace(from, to), official);
    return { from: [`${prefix}${stored}`] };
  };
}

/** The rest of SAM, and whatever a training checkpoint keeps outside the network. */
function ignorableBeside(prefix: string): RegExp[] {
  const around = prefix.replace(/(image_encoder|vision_encoder)\.$/, '');
  return [
    new RegExp(`^${literal(around)}(prompt_encoder|mask_decoder|shared_image_embedding)\\.`),
    new RegExp(`^${literal(around)}pixel_(mean|std)$`),
    ...outside(around),
  ];
}

/** By the highest number, so that a block missing in between is reported by name. */
function countBlocks(tensors: TensorSource, layout: SamLayout, prefix: string): number {
  const before = `${prefix}${layout === 'official' ? 'blocks' : 'layers'}.`;
  const names = [...tensors.entries.keys()].filter((name) => name.startsWith(before));
  return 1 + Math.max(...names.map((name) => parseInt(name.slice(before.length), 10)).filter((block) => block >= 0));
}

function readSizes(reader: WeightReader, layers: number): SamSizes {
  const name = (rest: string): string => `${OFFICIAL_PREFIX}${rest}`;
  const wrong = (reason: string): WeightsError =>
    new WeightsError('weights/sizes', `${reader.source.path}: ${reason}`, { path: reader.source.path });
  const [width, colours, patchSize, patchWidth] = axes(reader, name('patch_embed.proj.weight'), 4) as [
    number,
    number,
    number,
    number,
  ];
  const [, rows, columns] = axes(reader, name('pos_embed'), 4) as [number, number, number];
  const [channels] = axes(reader, name('neck.0.weight'), 4) as [number];
  if (colours !== 3 || patchSize !== patchWidth) {
    throw wrong(
      `patch_embed.proj.weight has shape [${[width, colours, patchSize, patchWidth].join(', ')}]; square patches of three colours are needed`,
    );
  }
  if (rows !== columns)
    throw wrong(`pos_embed is made for a grid of ${rows} x ${columns} patches; a square one is needed`);

  const tables: [number, number][] = [];
  for (let block = 0; block < layers; block++)
    tables.push(axes(reader, name(`blocks.${block}.attn.rel_pos_h`), 2) as [number, number]);
  const depth = (tables[0] as [number, number])[1];
  const heads = width / depth;
  if (!Number.isInteger(heads))
    throw wrong(`heads of ${depth} channels (from rel_pos_h) do not divide a width of ${width}`);
  const sides = tables.map(([length]) => (length + 1) / 2);
  const globalBlocks = sides.flatMap((side, block) => (side === rows ? [block] : []));
  const windowSizes = [...new Set(sides.filter((side) => side !== rows))];
  if (windowSizes.length > 1 || windowSizes.some((side) => !Number.isInteger(side))) {
    throw wrong(
      `rel_pos_h has ${[...new Set(tables.map(([length]) => length))].join(', ')} rows in different blocks; ` +
        `${2 * rows - 1} for attention over the whole grid and one odd number for windows were expected`,
    );
  }
  return { width, layers, heads, patchSize, gridSize: rows, windowSize: windowSizes[0] ?? 0, globalBlocks, channels };
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
