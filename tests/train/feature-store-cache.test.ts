import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { openDataset, type Sample } from '../../datasets/dataset';
import { prepareBackend, type BackendInfo } from '../../lib/backend';
import type { ModelOptionsInput } from '../../lib/methods/crane/options';
import { CLIP_PREPROCESSING, type Preprocessing } from '../../lib/image/preprocess';
import { openBackbone } from '../../lib/methods/backbone';
import { buildCraneModel } from '../../lib/methods/crane/build';
import type { CraneModel } from '../../lib/methods/crane/model';
import { FeatureCache } from '../../train/feature-cache/feature-cache';
import { featureCacheContents, type ShardFile } from '../../train/feature-cache/contents';
import { disposeBatch } from '../../train/encoded-image';
import { FeatureStore, type CacheUse, type EncodeOptions } from '../../train/feature-store';
import { decodeSample, type ComposedSample } from '../../train/network-input';
import type { TrainingBatch } from '../../lib/methods/method';
import { expectNoLeak } from '../tensors';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let backboneFile: string;
let backend: BackendInfo;
let model: CraneModel;
let samples: readonly Sample[];
let cacheFolder: string;

async function buildModel(options: ModelOptionsInput = {}): Promise<CraneModel> {
  const backbone = await openBackbone(backboneFile);
  const built = buildCraneModel(backbone, { prompts: { seed: 1 }, options });
  backbone.close();
  return built;
}

async function samplesIn(root: string): Promise<readonly Sample[]> {
  return (await openDataset(root)).categories.flatMap((category) => category.samples);
}

beforeAll(async () => {
  backend = await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-cached-'));
  backboneFile = writeSmallBackbone(folder);
  model = await buildModel();
  samples = await samplesIn(await writeSmallSet(path.join(folder, 'plates'), { normal: 9, anomalous: 10 }));
});

afterAll(() => {
  model.dispose();
  fs.rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  cacheFolder = fs.mkdtempSync(path.join(folder, 'cache-'));
});

const use = (more: Partial<CacheUse> = {}): CacheUse => ({
  backbone: 'f'.repeat(64),
  spatial: null,
  backend,
  folder: cacheFolder,
  ...more,
});

interface Encode extends Partial<EncodeOptions> {
  readonly model?: CraneModel;
  readonly use?: Partial<CacheUse>;
}

const encode = (
  { model: other, use: more, ...options }: Encode = {},
  chosen: readonly Sample[] = samples,
): Promise<FeatureStore> =>
  FeatureStore.encode(other ?? model, chosen, {
    preprocessing: CLIP_PREPROCESSING,
    interpolation: 'nearest',
    cache: use(more),
    ...options,
  });

async function bytesOf(
  store: FeatureStore,
  places: readonly number[] = store.samples.map((_, place) => place),
): Promise<Buffer> {
  const batch = await store.batch(places);
  const parts = [batch.global, ...batch.patches, batch.masks, batch.labels].map((tensor) =>
    Buffer.from(Uint8Array.from(new Uint8Array(tensor.dataSync().slice().buffer))),
  );
  disposeBatch(batch);
  return Buffer.concat(parts);
}

/** How many images an encoding of the set sends through the encoder, and everything it gives. */
async function run(options: Encode = {}, chosen?: readonly Sample[]): Promise<{ encoded: number; bytes: Buffer }> {
  const store = await encode(options, chosen);
  const bytes = await bytesOf(store);
  await store.close();
  return { encoded: store.encoded, bytes };
}

/** A copy of the set that the test may change. */
async function copyOfSet(name: string): Promise<readonly Sample[]> {
  const root = path.join(folder, name);
  fs.cpSync(path.join(folder, 'plates'), root, { recursive: true });
  return samplesIn(root);
}

test('cold, warm and without a cache give equal bytes; warm encodes nothing', async () => {
  const without = await FeatureStore.encode(model, samples, {
    preprocessing: CLIP_PREPROCESSING,
    interpolation: 'nearest',
  });
  const [cold, warm] = [await expectNoLeak(() => run()), await expectNoLeak(() => run())];
  expect([without.encoded, cold.encoded, warm.encoded]).toEqual([19, 19, 0]);
  expect(cold.bytes.equals(warm.bytes)).toBe(true);
  expect(cold.bytes.equals(await bytesOf(without))).toBe(true);
  expect((await run({ interpolation: 'bilinear' })).encoded).toBe(0);
});

test('whatever was encoded before and in whichever order, the features are equal to the last bit', async () => {
  const cold = await run();
  cacheFolder = fs.mkdtempSync(path.join(folder, 'cache-'));
  await run({}, [samples[17], samples[3], samples[11]] as Sample[]);
  await run({}, [...samples.slice(5, 9)].reverse());
  const pieces = await run();
  expect(pieces.encoded).toBe(19 - 7);
  expect(pieces.bytes.equals(cold.bytes)).toBe(true);
});

test('features too many for memory are read from disk, batch by batch, with the next ahead', async () => {
  const resident = await encode();
  const store = await encode({ residentBytes: 0 });
  expect(store.encoded).toBe(0);
  const want = [await bytesOf(resident, [4, 18]), await bytesOf(resident, [0, 7]), await bytesOf(resident, [18, 4])];
  const first = await store.batch([4, 18], [0, 7]);
  disposeBatch(first);
  expect((await bytesOf(store, [0, 7])).equals(want[1] as Buffer)).toBe(true);
  expect((await bytesOf(store, [4, 18])).equals(want[0] as Buffer)).toBe(true);
  disposeBatch(await store.batch([1], [0, 7]));
  expect((await bytesOf(store, [18, 4])).equals(want[2] as Buffer)).toBe(true); // another batch than the one ahead
  await expectNoLeak(async () => disposeBatch(await store.batch([1, 2], [3, 4])));
  await store.close();
  expect(fs.readdirSync(path.join(cacheFolder, 'leases'))).toEqual([]);
});

describe('nothing is served stale', () => {
  test('a changed image is encoded again, and only that; its time and size do not matter', async () => {
    const copy = await copyOfSet('changed');
    const before = await run({}, copy);
    const { imagePath } = copy[6] as Sample;
    const stat = fs.statSync(imagePath);
    const bytes = fs.readFileSync((copy[7] as Sample).imagePath);
    fs.writeFileSync(imagePath, bytes);
    fs.utimesSync(imagePath, stat.atime, stat.mtime);
    const after = await run({}, copy);
    expect(after.encoded).toBe(0); // its content is that of another image
    expect(after.bytes.equals(before.bytes)).toBe(false);
    fs.appendFileSync(imagePath, 'x'); // a PNG may have bytes after its end
    expect((await run({}, copy)).encoded).toBe(1);
  });

  test('a changed mask changes the mask', async () => {
    const copy = await copyOfSet('masks');
    const anomalous = copy.filter(({ maskPath }) => maskPath !== null);
    const before = await run({ interpolation: 'bilinear' }, anomalous);
    fs.copyFileSync(anomalous[1]?.maskPath as string, anomalous[0]?.maskPath as string);
    const after = await run({ interpolation: 'bilinear' }, anomalous);
    expect(after.bytes.equals(before.bytes)).toBe(false);
    expect((await run({ interpolation: 'bilinear' }, anomalous)).bytes.equals(after.bytes)).toBe(true);
  });

  const preprocessed = (more: Partial<Preprocessing>): Encode => ({
    preprocessing: { ...CLIP_PREPROCESSING, ...more },
  });
  test.each<[string, Encode, ModelOptionsInput | null]>(
    (
      [
        ['other weights', { use: { backbone: 'e'.repeat(64) } }],
        ['weights of a second vision model', { use: { spatial: 'e'.repeat(64) } }],
        ['another mean', preprocessed({ mean: [0.5, 0.5, 0.5] })],
        ['another deviation', preprocessed({ std: [0.25, 0.25, 0.25] })],
        ["the reference's decoding", preprocessed({ reference: true })],
        ['another image size', {}, { imageSize: 40 }],
        ['other layers', {}, { layers: [1, 3] }],
        ['another number of refined blocks', {}, { eattnBlocks: 1 }],
        ['another attention', {}, { attention: 'qq' }],
        ['an option of D-Attn', {}, { dattnGamma: 2 }],
        [
          'another version of TensorFlow',
          { use: { backend: { ...({} as BackendInfo), name: 'tensorflow', tensorflowVersion: '0.1', gpu: false } } },
        ],
      ] as [string, Encode, ModelOptionsInput?][]
    ).map(([name, options, modelOptions = null]) => [name, options, modelOptions]),
  )('%s', async (_, options, modelOptions) => {
    const few = samples.slice(0, 2);
    await run({}, few);
    const other = modelOptions ? await buildModel(modelOptions) : model;
    expect((await run({ ...options, model: other }, few)).encoded).toBe(2);
    expect((await run({}, few)).encoded).toBe(0);
    if (other !== model) other.dispose();
  });

  test('own kernels of other instructions', async () => {
    const few = samples.slice(0, 2);
    await run({}, few);
    const other = { ...backend, kernels: { own: true, instructions: 'like no others' } } as const;
    expect((await run({ use: { backend: other } }, few)).encoded).toBe(2);
    expect((await run({}, few)).encoded).toBe(0);
  });

  test.each<[string, ModelOptionsInput]>([
    ['sigma', { sigma: 1 }],
    ['fusion', { fusion: 'logit' }],
    ['temperature', { temperature: 0.1 }],
    ['pooling', { pooling: false }],
    ['context', { contextPosition: 'none' }],
  ])('but %s decides no features', async (_, modelOptions) => {
    await run({}, samples.slice(0, 1));
    const other = await buildModel(modelOptions);
    expect((await run({ model: other }, samples.slice(0, 1))).encoded).toBe(0);
    other.dispose();
  });
});

test('a file that changes while the set is encoded is kept under what it held then', async () => {
  const copy = await copyOfSet('changing');
  const few = copy.slice(0, 2);
  const { imagePath } = few[1] as Sample;
  const original = fs.readFileSync(imagePath);
  const changed = fs.readFileSync((copy[12] as Sample).imagePath);
  // Hashed first, then read again to be encoded.
  const fill = FeatureCache.prototype.fill;
  const spy = jest.spyOn(FeatureCache.prototype, 'fill').mockImplementation(function (this: FeatureCache, ...args) {
    fs.writeFileSync(imagePath, changed);
    return fill.apply(this, args);
  });
  const during = await run({}, few);
  spy.mockRestore();
  fs.writeFileSync(imagePath, original);
  const without = await FeatureStore.encode(model, few, {
    preprocessing: CLIP_PREPROCESSING,
    interpolation: 'nearest',
  });
  const after = await run({}, few);
  expect(after.bytes.equals(await bytesOf(without))).toBe(true);
  expect(after.bytes.equals(during.bytes)).toBe(false);
});

test('a set that was renamed, or copied, costs nothing again', async () => {
  await run();
  const copy = await copyOfSet('copied');
  expect((await run({}, copy)).encoded).toBe(0);
  fs.renameSync(path.join(folder, 'copied'), path.join(folder, 'renamed'));
  expect((await run({}, await samplesIn(path.join(folder, 'renamed')))).encoded).toBe(0);
});

test('equal images are encoded and kept once', async () => {
  const [one, two] = samples as [Sample, Sample];
  const store = await encode({}, [one, two, one, one]);
  expect(store.encoded).toBe(2);
  const [first, third] = [await bytesOf(store, [0]), await bytesOf(store, [2])];
  expect(first.equals(third)).toBe(true);
  await store.close();
});

test('an encoding that is stopped goes on at the image', async () => {
  const stop = new AbortController();
  const small = Object.create(model, { imagesAtOnce: { value: 2 } }) as CraneModel;
  const stopped = encode({
    model: small,
    signal: stop.signal,
    onProgress: (report) => {
      if (report.kind === 'advance' && report.done === 4) stop.abort(new Error('enough'));
    },
  });
  await expectNoLeak(() => expect(stopped).rejects.toThrow('enough'));
  expect((await run({ model: small })).encoded).toBe(15);
  expect(fs.readdirSync(path.join(cacheFolder, 'leases'))).toEqual([]);
});

test('images that cannot be read are handed over at every run, equal ones each, and the others are cached', async () => {
  const broken = ['one.png', 'two.png'].map((name) => path.join(folder, name));
  broken.forEach((file) => fs.writeFileSync(file, 'no picture'));
  const absent = { ...(samples[5] as Sample), imagePath: path.join(folder, 'absent.png') };
  const chosen = [
    ...samples.slice(0, 2),
    ...broken.map((imagePath) => ({ ...(samples[2] as Sample), imagePath })),
    absent,
    samples[3] as Sample,
  ];
  for (const encoded of [3, 0]) {
    const told: string[] = [];
    const store = await encode(
      {
        onUnreadable: ({ imagePath }, error) =>
          told.push(`${path.basename(imagePath)} ${error.message.includes(imagePath)}`),
      },
      chosen,
    );
    expect(told.sort()).toEqual(['absent.png true', 'one.png true', 'two.png true']);
    expect(store.samples).toEqual([...samples.slice(0, 2), samples[3]]);
    expect(store.encoded).toBe(encoded);
    await store.close();
  }
  await expect(encode({}, chosen)).rejects.toMatchObject({ name: 'ImageError' });
  await expect(
    encode(
      {
        onUnreadable: () => {
          throw new Error('too many');
        },
      },
      chosen,
    ),
  ).rejects.toThrow('too many');
});

test('a damaged cache is made again where it is noticed at the start, and named where it is later', async () => {
  const before = await run();
  const shard = featureCacheContents(cacheFolder).shards[0] as ShardFile;
  const damage = (at: number): void => {
    const bytes = fs.readFileSync(shard.file);
    bytes[at] = (bytes[at] as number) ^ 255;
    fs.writeFileSync(shard.file, bytes);
  };
  damage(shard.bytes - 5); // in the last record
  const again = await run();
  expect([again.encoded, again.bytes.equals(before.bytes)]).toEqual([1, true]);
  const store = await encode({ residentBytes: 0 });
  damage(200); // in the first
  await expect(store.batch([0])).rejects.toMatchObject({
    code: 'training/cache-damaged',
    data: { path: samples[0]?.imagePath },
  });
  await store.close();
});

test('a mosaic is cached under what its files hold and its recipe', async () => {
  const mosaic = (order: number): ComposedSample => {
    const parts = samples.slice(9, 11);
    return {
      ...(samples[9] as Sample),
      files: parts.flatMap(({ imagePath, maskPath }) => [imagePath, maskPath]),
      recipe: `halves ${order}`,
      compose: async (contents, size, preprocessing) => {
        const inputs = await Promise.all(
          [0, 1].map((part) =>
            decodeSample(parts[part] as Sample, contents.slice(2 * part, 2 * part + 2), size, preprocessing),
          ),
        );
        const [top, bottom] = order === 0 ? inputs : [...inputs].reverse();
        const half = <T extends Float32Array | Uint8Array>(a: T, b: T): T => {
          const joined = a.slice() as T;
          joined.set(b.subarray(b.length / 2), b.length / 2);
          return joined;
        };
        return { pixels: half(top!.pixels, bottom!.pixels), mask: half(top!.mask, bottom!.mask) };
      },
    };
  };
  const [first, second, again] = [await run({}, [mosaic(0)]), await run({}, [mosaic(1)]), await run({}, [mosaic(0)])];
  expect([first.encoded, second.encoded, again.encoded]).toEqual([1, 1, 0]);
  expect(first.bytes.equals(again.bytes)).toBe(true);
  expect(first.bytes.equals(second.bytes)).toBe(false);
});

test("features of the reference's D-Attn, which depend on the batch, are not cached", async () => {
  const dependent = Object.create(model, {
    options: { value: { ...model.options, spatial: 'dinov2', dattnMean: 'batch' } },
  }) as CraneModel;
  for (let times = 0; times < 2; times++)
    expect((await run({ model: dependent }, samples.slice(0, 3))).encoded).toBe(3);
  expect(featureCacheContents(cacheFolder).bytes).toBe(0);
});

test('a small set is trained on also where nothing can be written; a large one is refused', async () => {
  fs.writeFileSync(path.join(cacheFolder, 'file'), '');
  const nowhere = { use: { folder: path.join(cacheFolder, 'file') } };
  expect((await run(nowhere, samples.slice(0, 2))).encoded).toBe(2);
  await expect(encode({ ...nowhere, residentBytes: 0 })).rejects.toMatchObject({ code: 'training/cache-unwritable' });
});

test('a batch is as the trainer wants it', async () => {
  const store = await encode({ residentBytes: 0 });
  const batch: TrainingBatch = await store.batch([17, 2, 9]);
  expect([batch.global.shape, batch.patches.map(({ shape }) => shape), batch.masks.shape]).toEqual([
    [3, 32],
    [[3, 16, 32]],
    [3, 4, 4],
  ]);
  expect(Array.from(batch.labels.dataSync())).toEqual([17, 2, 9].map((place) => Number(samples[place]?.anomalous)));
  expect(tf.tidy(() => tf.norm(batch.global, 2, 1).dataSync()[0])).toBeCloseTo(1, 5);
  disposeBatch(batch);
  await store.close();
});
