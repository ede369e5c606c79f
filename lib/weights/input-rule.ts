import * as path from 'node:path';
import {
  CLIP_MEAN,
  CLIP_STD,
  IMAGENET_MEAN,
  IMAGENET_STD,
  type InputRule,
  type Normalisation,
  RESIZE_FILTERS,
  type ResizeFilter,
} from '../image/normalisation';
import { ConfigurationFields, folderOf, isObject, type Json, parseJsonObject, readJsonObject } from './configuration';
import type { TensorSource } from './tensor-source';

/** CLIP's own, for weights that do not describe their input. */
export const CLIP_INPUT: InputRule = { resize: 'bicubic', mean: CLIP_MEAN, std: CLIP_STD };
export const IMAGENET_INPUT: Normalisation = { mean: IMAGENET_MEAN, std: IMAGENET_STD };

/** Metadata key of what weights and prompts say about a network's input, as JSON. */
export const INPUT_KEY = 'crane.preprocessing';

type Triple = Normalisation['mean'];

/** One number for all colours, or three. @throws WeightsError `weights/config` */
function triple(
  fields: ConfigurationFields,
  name: string,
  isLegal: (value: number) => boolean,
  expected: string,
): Triple | undefined {
  const value = fields.value(name);
  if (value === undefined) return undefined;
  const numbers: readonly unknown[] = Array.isArray(value) ? value : [value, value, value];
  const legal = numbers.filter((one): one is number => typeof one === 'number' && Number.isFinite(one) && isLegal(one));
  if (numbers.length !== 3 || legal.length !== 3) throw fields.refusal(name, expected);
  return legal as unknown as Triple;
}

function normalisationIn(
  fields: ConfigurationFields,
  [meanName, stdName]: readonly [string, string],
  usual: Normalisation,
): Normalisation {
  return {
    mean: triple(fields, meanName, () => true, 'three finite numbers, one per colour') ?? usual.mean,
    std: triple(fields, stdName, (value) => value > 0, 'three numbers above 0, one per colour') ?? usual.std,
  };
}

/**
 * What open_clip's `preprocess_cfg` says. `shortest`, which is its usual way, and `squash` are both taken: the method
 * resizes straight to a square, whatever the weights' own program does with the aspect (docs/method.md#preprocessing;
 * docs/deviations.md).
 * @throws WeightsError `weights/config` naming what cannot be honoured
 */
export function openClipInput(fields: ConfigurationFields): InputRule {
  const { mean, std } = normalisationIn(fields, ['mean', 'std'], CLIP_INPUT);
  fields.only('mode', 'RGB');
  fields.only('resize_mode', 'shortest', 'squash');
  fields.only('interpolation', 'bicubic', 'bilinear', 'random');
  // The size is the method's, and nothing is padded. `random` is for training; what is scored is resized bicubically.
  fields.ignore(['size', 'fill_color']);
  fields.finish();
  return { resize: fields.value('interpolation') === 'bilinear' ? 'bilinear' : 'bicubic', mean, std };
}

/** Pillow's numbers of the filters that are here. */
const FILTER_OF_NUMBER: Readonly<Record<string, ResizeFilter>> = {
  2: 'bilinear',
  3: 'bicubic',
  bilinear: 'bilinear',
  bicubic: 'bicubic',
};

const OF_PROCESSORS = [
  // The size is the method's, and the whole image is seen, as with every other backbone (docs/method.md#preprocessing).
  'size',
  'crop_size',
  'do_center_crop',
  'crop_pct',
  'do_convert_rgb',
  'default_to_square',
  'image_processor_type',
  'feature_extractor_type',
  'processor_class',
  'return_tensors',
  'data_format',
  'input_data_format',
  'device',
  'disable_grouping',
];

/**
 * What a HuggingFace folder's `preprocessor_config.json` (or `processor_config.json`) says of CLIP's input; undefined
 * without one.
 * @throws WeightsError `weights/config` naming what cannot be honoured
 */
export function huggingFaceInput(source: string): InputRule | undefined {
  const fields = processorFields(source);
  if (fields === undefined) return undefined;
  const normalisation = scaledNormalisation(fields, CLIP_INPUT);
  fields.only('do_resize', true);
  fields.only('do_pad', false);
  const size = fields.value('size');
  if (isObject(size) && size['longest_edge'] !== undefined && size['shortest_edge'] === undefined) {
    throw fields.refusal('size', 'the shortest edge, or height and width: images are not padded here');
  }
  const resample = fields.value('resample') ?? 3;
  const resize = FILTER_OF_NUMBER[String(resample)];
  if (resize === undefined) throw fields.refusal('resample', '3 (bicubic) or 2 (bilinear)');
  fields.ignore([...OF_PROCESSORS, 'pad_size']);
  fields.ignore(/^_/);
  fields.finish();
  return { resize, ...normalisation };
}

/**
 * What such a file says about a second vision model's input. How that is resized belongs to the method
 * (docs/method.md#second-models); mean and deviation do not.
 * @throws WeightsError `weights/config` naming what cannot be honoured
 */
export function spatialNormalisation(source: string): Normalisation | undefined {
  const fields = processorFields(source);
  if (fields === undefined) return undefined;
  const normalisation = scaledNormalisation(fields, IMAGENET_INPUT);
  fields.ignore([
    ...OF_PROCESSORS,
    'do_resize',
    'resample',
    'do_pad',
    'pad_size',
    'mask_size',
    'mask_pad_size',
    'pad_value',
  ]);
  fields.ignore(/^_/);
  fields.finish();
  return normalisation;
}

function processorFields(source: string): ConfigurationFields | undefined {
  const folder = folderOf(source);
  const file = path.join(folder, 'preprocessor_config.json');
  const own = readJsonObject(file);
  if (own !== undefined) return new ConfigurationFields(file, '', own);
  const joint = path.join(folder, 'processor_config.json');
  const content = readJsonObject(joint);
  return isObject(content?.['image_processor'])
    ? new ConfigurationFields(joint, 'image_processor', content['image_processor'])
    : undefined;
}

/** `(level · factor - mean) / std` as `(level / 255 - mean') / std'`. */
function scaledNormalisation(fields: ConfigurationFields, usual: Normalisation): Normalisation {
  const named = normalisationIn(fields, ['image_mean', 'image_std'], usual);
  const { mean, std } = fields.flag('do_normalize') === false ? ({ mean: [0, 0, 0], std: [1, 1, 1] } as const) : named;
  const factor = fields.positive('rescale_factor') ?? 1 / 255;
  fields.only('do_flip_channel_order', false);
  fields.only('rescale_offset', false);
  const times = fields.flag('do_rescale') === false ? 255 : 255 * factor;
  // 0.00392156862745098 is what 1/255 is written as.
  if (Math.abs(times - 1) < 1e-9) return { mean, std };
  const scaled = (values: Triple): Triple => [values[0] / times, values[1] / times, values[2] / times];
  return { mean: scaled(mean), std: scaled(std) };
}

/** What is stored; for prompts, also whether images were read as the reference reads them. */
export type StoredInput = Partial<InputRule> & { readonly reference?: boolean };

/**
 * The input that our own files say their network was used with; undefined where they do not say.
 * @throws WeightsError `weights/config` for a record that does not describe an input
 */
export function storedInput(file: string, metadata: Readonly<Record<string, string>>): StoredInput | undefined {
  const text = metadata[INPUT_KEY];
  if (text === undefined) return undefined;
  const record: Json = parseJsonObject(text, `${file}: its metadata ${INPUT_KEY}`);
  const fields = new ConfigurationFields(file, INPUT_KEY, record);
  const mean = triple(fields, 'mean', () => true, 'three finite numbers, one per colour');
  const std = triple(fields, 'std', (value) => value > 0, 'three numbers above 0, one per colour');
  const resize = fields.value('resize');
  const reference = fields.flag('reference');
  fields.only('resize', ...RESIZE_FILTERS);
  fields.finish();
  return {
    ...(mean === undefined ? {} : { mean }),
    ...(std === undefined ? {} : { std }),
    ...(resize === undefined ? {} : { resize: resize as ResizeFilter }),
    ...(reference === undefined ? {} : { reference }),
  };
}

/** Mean and deviation in the metadata of our own files. @throws as `storedInput` */
export function storedNormalisation({ path: file, metadata }: TensorSource): Partial<Normalisation> {
  const { mean, std } = storedInput(file, metadata) ?? {};
  return { ...(mean === undefined ? {} : { mean }), ...(std === undefined ? {} : { std }) };
}
