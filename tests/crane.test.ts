import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { Crane } from '../index';
import { prepareBackend } from '../lib/backend';
import { ImageError, UsageError, WeightsError } from '../lib/errors';
import { readNpy } from '../lib/image/npy';
import { openTensors } from '../lib/weights/open';
import { readPromptCheckpoint, writePromptCheckpoint } from '../lib/weights/prompt-checkpoint';
import { writeSafetensors, type TensorToWrite } from '../lib/weights/safetensors';
import { describeWithGoldens, expectClose, golden, goldenPath, testEachGolden, tinyBackbone } from './goldens';
import { expectNoLeak } from './tensors';

const tiny = (): { backbone: string; prompts: string; imageSize: number; layers: number[]; eattnBlocks: number } => ({
  backbone: tinyBackbone(),
  prompts: goldenPath('prompts_tiny.pth'),
  imageSize: 70,
  layers: [2, 4, 6],
  eattnBlocks: 5,
});

let folder: string;
beforeAll(async () => {
  await prepareBackend('auto');
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-test-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

describeWithGoldens('Crane, from file to map', () => {
  const dataset = (): string => goldenPath('e2e/dataset');
  const pictures = (): string[] => {
    const meta = JSON.parse(fs.readFileSync(path.join(dataset(), 'meta.json'), 'utf8')) as {
      test: Record<string, { img_path: string }[]>;
    };
    return Object.values(meta.test)
      .flat()
      .map(({ img_path }) => path.join(dataset(), img_path));
  };

  test('scores a set of files as the reference does, with static prompts and with image context', async () => {
    const before = tf.memory().numTensors;
    for (const [context, name] of [
      [false, 'crane'],
      [true, 'crane_context'],
    ] as const) {
      const crane = await Crane.load({ ...tiny(), context, referenceImages: true });
      const detections = await expectNoLeak(() => crane.detect(pictures()));
      expectClose(
        detections.map(({ score }) => score),
        golden(`e2e.safetensors#${name}.scores`).data,
        1e-4,
      );
      const maps = detections.flatMap(({ map }) => Array.from(map.native?.data ?? []));
      expectClose(maps, golden(`e2e.safetensors#${name}.maps`).data, 1e-4);
      crane.dispose();
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a score is the same alone, in any batch, in any order and from a stream', async () => {
    const crane = await Crane.load(tiny());
    const files = pictures();
    const together = await crane.detect(files);
    const reversed = await crane.detect([...files].reverse());
    expectClose(
      reversed.map(({ score }) => score).reverse(),
      together.map(({ score }) => score),
      1e-5,
    );
    for (const batchSize of [1, 3]) {
      const streamed: number[] = [];
      for await (const detection of crane.stream(files, { batchSize })) streamed.push(detection.score);
      expectClose(
        streamed,
        together.map(({ score }) => score),
        1e-5,
      );
    }
    crane.dispose();
  });

  test('an image may be a path, a URL, bytes, a sharp instance, raw pixels or a tensor', async () => {
    const crane = await Crane.load(tiny());
    const file = goldenPath('images/rgb.png');
    const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
    const raw = { data: new Uint8Array(data), width: info.width, height: info.height, channels: 3 as const };
    const tensor = tf.tensor3d(Int32Array.from(data), [info.height, info.width, 3], 'int32');
    const scaled = tf.div<tf.Tensor3D>(tensor, 255);
    const [first, ...others] = await expectNoLeak(() =>
      crane.detect([file, new URL(`file://${file}`), fs.readFileSync(file), sharp(file), raw, tensor, scaled]),
    );
    for (const other of others) expect(other.score).toBeCloseTo((first as { score: number }).score, 5);
    expect(first).toMatchObject({ source: file, width: 93, height: 71 });
    expect(first?.map.shape).toEqual([71, 93]);
    tf.dispose([tensor, scaled]);
    crane.dispose();
  });

  test('saves a map in every form', async () => {
    const crane = await Crane.load(tiny());
    const { map } = await crane.detect(goldenPath('images/rgb.png'));
    crane.dispose();
    await map.save(path.join(folder, 'overlay.png'));
    await map.save(path.join(folder, 'map.npy'));
    // Of a value that the map takes, so that the mask has both sides and a pixel on the edge.
    const threshold = map.slice().sort()[Math.floor(map.length * 0.7)] as number;
    await map.save(path.join(folder, 'mask.png'), { as: 'mask', threshold });
    await map.saveNative(path.join(folder, 'native.npy'));
    expect(await readNpy(path.join(folder, 'map.npy'))).toMatchObject({
      shape: [71, 93],
      dtype: 'float32',
      data: Float32Array.from(map),
    });
    expect(map.native?.data).toHaveLength(70 * 70);
    expect(await readNpy(path.join(folder, 'native.npy'))).toMatchObject({
      shape: [70, 70],
      dtype: 'float32',
      data: map.native?.data,
    });
    const mask = await sharp(path.join(folder, 'mask.png'))
      .toColourspace('b-w')
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(mask.info).toMatchObject({ width: 93, height: 71, channels: 1 });
    expect(Array.from(mask.data, (value) => value / 255)).toEqual(Array.from(map.toMask(threshold)));
    expect(new Set(mask.data)).toEqual(new Set([0, 255]));
    expect((await sharp(path.join(folder, 'overlay.png')).metadata()).height).toBeGreaterThanOrEqual(71);
  });

  test('an image that cannot be read fails by name and leaves nothing behind; a stream may go on without it', async () => {
    const crane = await Crane.load(tiny());
    const broken = path.join(folder, 'broken.png');
    fs.writeFileSync(broken, 'no picture');
    const good = goldenPath('images/rgb.png');
    await expectNoLeak(() => expect(crane.detect([good, broken])).rejects.toThrow(ImageError));
    await expect(crane.detect(broken)).rejects.toThrow(/broken\.png/);
    const failed: unknown[] = [];
    const scored: string[] = [];
    for await (const { source } of crane.stream([good, broken, good], { onFailure: ({ input }) => failed.push(input) }))
      scored.push(source);
    expect(scored).toEqual([good, good]);
    expect(failed).toEqual([broken]);
    crane.dispose();
  });

  test('a feed that pauses is scored up to what has arrived', async () => {
    const crane = await Crane.load({ ...tiny(), batchSize: 4 });
    let release: () => void = () => undefined;
    const pause = new Promise<void>((resolve) => (release = resolve));
    async function* feed(): AsyncGenerator<string> {
      yield goldenPath('images/rgb.png');
      await pause;
      yield goldenPath('images/small.png');
    }
    const seen: string[] = [];
    for await (const { source } of crane.stream(feed())) {
      seen.push(path.basename(source));
      release();
    }
    expect(seen).toEqual(['rgb.png', 'small.png']);
    crane.dispose();
  });

  test('larger images are encoded fewer at once: their score matrices are as large as the square of their tokens', async () => {
    for (const [imageSize, expected] of [
      [70, Math.floor(2 ** 21 / 26 ** 2)],
      [280, Math.floor(2 ** 21 / 401 ** 2)],
      [518, 1],
      [700, 1],
    ] as const) {
      const crane = await Crane.load({ ...tiny(), imageSize });
      expect(crane.model.imagesAtOnce).toBe(expected);
      crane.dispose();
    }
  });

  test('an early end of a stream returns the source and leaves no tensors', async () => {
    const crane = await Crane.load({ ...tiny(), batchSize: 1 });
    let returned = false;
    function* endless(): Generator<string> {
      try {
        for (;;) yield goldenPath('images/small.png');
      } finally {
        returned = true;
      }
    }
    await expectNoLeak(async () => {
      for await (const detection of crane.stream(endless())) {
        expect(detection.score).toBeGreaterThan(0);
        break;
      }
    });
    expect(returned).toBe(true);
    crane.dispose();
  });

  test('a feed that fails after the consumer left does not end the process, and one that waits does not hold it up', async () => {
    const crane = await Crane.load({ ...tiny(), batchSize: 1 });
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    let fail: (error: Error) => void = () => undefined;
    const never = new Promise<string>((_, reject) => (fail = reject));
    async function* feed(): AsyncGenerator<string> {
      yield goldenPath('images/small.png');
      yield await never;
    }
    for await (const { score } of crane.stream(feed())) {
      expect(score).toBeGreaterThan(0);
      break;
    }
    fail(new Error('the camera went away'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
    crane.dispose();
  });

  test('a stream takes a folder, with the folders below it', async () => {
    const crane = await Crane.load(tiny());
    const seen: string[] = [];
    for await (const { source } of crane.stream(goldenPath('e2e/dataset/button/test')))
      seen.push(path.relative(goldenPath('e2e/dataset/button/test'), source));
    expect(seen).toEqual(['fault/001.png', 'fault/003.png', 'good/000.png', 'good/002.png']);
    await expect(crane.stream(path.join(folder, 'nowhere')).next()).rejects.toThrow(/a folder of images was expected/);
    crane.dispose();
  });

  test.each([0, -1, 1.5, Number.NaN])('a batch size of %p is refused', async (batchSize) => {
    await expect(Crane.load({ ...tiny(), batchSize })).rejects.toThrow(UsageError);
    const crane = await Crane.load(tiny());
    await expect(crane.stream([goldenPath('images/small.png')], { batchSize }).next()).rejects.toThrow(UsageError);
    crane.dispose();
  });

  test('an address is not downloaded when offline', async () => {
    const crane = await Crane.load({ ...tiny(), offline: true });
    await expect(crane.detect('http://127.0.0.1:9/part.png')).rejects.toThrow(/downloads are disabled/);
    crane.dispose();
  });

  test.each([
    ['the first parameter', 'visual.conv1.weight', undefined],
    ['the last parameter', 'text_projection', undefined],
    ['one parameter of another shape', 'visual.transformer.resblocks.3.mlp.c_fc.bias', [7]],
  ])('a backbone that lacks %s is refused, and nothing of it stays', async (_, name, shape) => {
    const source = await openTensors(goldenPath('clip_tiny.safetensors'));
    const tensors: Record<string, TensorToWrite> = {};
    for (const entry of source.entries.values()) {
      if (entry.dtype === 'int32' || entry.dtype === 'int64')
        tensors[entry.name] = { dtype: 'int32', shape: entry.shape, data: source.readIntegers(entry.name) };
      else if (entry.name !== name)
        tensors[entry.name] = { dtype: 'float16', shape: entry.shape, data: source.read(entry.name) };
      else if (shape) tensors[name] = { dtype: 'float16', shape, data: new Float32Array(7) };
    }
    source.close();
    const file = path.join(folder, 'incomplete.safetensors');
    writeSafetensors(file, tensors);
    await expectNoLeak(() => expect(Crane.load({ ...tiny(), backbone: file })).rejects.toThrow(WeightsError));
    await expect(Crane.load({ ...tiny(), backbone: file })).rejects.toThrow(name);
  });

  test('prompts that were trained on other weights come with a warning', async () => {
    const file = path.join(folder, 'foreign.safetensors');
    const prompts = await readPromptCheckpoint(goldenPath('prompts_tiny.pth'));
    writePromptCheckpoint(file, prompts, {
      'crane.backbone': 'elsewhere',
      'crane.backbone.sha256': 'ab'.repeat(32),
      'crane.auxiliary': 'castings',
    });
    const crane = await Crane.load({ ...tiny(), prompts: file });
    expect(crane.description.warnings).toContainEqual(
      expect.stringMatching(/other weights \(elsewhere, sha256 abababababab/),
    );
    expect(crane.description.auxiliary).toBe('castings');
    crane.dispose();
  });

  test('after dispose it says so, and disposing twice is no mistake', async () => {
    const crane = await Crane.load(tiny());
    crane.dispose();
    crane.dispose();
    await expect(crane.detect(goldenPath('images/rgb.png'))).rejects.toThrow(UsageError);
  });

  test('options that do not fit are refused, with the tensors released', async () => {
    const wide = path.join(folder, 'wide.safetensors');
    const context = new Float32Array(12 * 768);
    writePromptCheckpoint(wide, {
      contextNormal: context,
      contextAnomalous: context,
      deep: [],
      width: 768,
      contextTokens: 12,
      deepTokens: 0,
      depth: 1,
      metadata: {},
    });
    const before = tf.memory().numTensors;
    await expect(Crane.load({ ...tiny(), imageSize: 71 })).rejects.toThrow(
      /multiple of the backbone's patch size 14.*70, 84/,
    );
    await expect(Crane.load({ ...tiny(), layers: [7] })).rejects.toThrow(/blocks 1 to 6/);
    await expect(Crane.load({ ...tiny(), prompts: wide })).rejects.toThrow(WeightsError);
    await expect(Crane.load({ ...tiny(), prompts: wide })).rejects.toThrow(/768/);
    await expect(Crane.load({ ...tiny(), backbone: 'no-such-model' })).rejects.toThrow(UsageError);
    expect(tf.memory().numTensors).toBe(before);
  });

  testEachGolden(
    [['clip_tiny.safetensors'], ['clip_tiny_torchscript.pt'], ['clip_tiny_statedict.pt'], ['clip_tiny_hf.safetensors']],
    'image features of %s',
    async (file) => {
      const { openBackbone, ClipVisionEncoder } = await import('../layers');
      const backbone = await openBackbone(goldenPath(file));
      const vision = new ClipVisionEncoder({
        sizes: backbone.sizes.vision,
        embedDimension: backbone.sizes.embedDimension,
        activation: backbone.activation,
        attention: 'vv',
        eattnBlocks: 0,
        parameters: backbone.parameters,
      });
      backbone.close();
      tf.tidy(() => {
        const images = golden('formats.safetensors#images');
        const input = tf.transpose<tf.Tensor4D>(
          tf.tensor4d(images.data, images.shape as [number, number, number, number]),
          [0, 2, 3, 1],
        );
        const { tokens } = vision.forward(input);
        const features = vision.project(tf.slice(tokens, [0, 0, 0], [-1, 1, -1]));
        expectClose(features.dataSync(), golden('formats.safetensors#image_features').data, 1e-4, 1e-3);
      });
      vision.dispose();
    },
  );
});
