import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { Crane, WatchedFolder } from '../index';
import { prepareBackend } from '../lib/backend';
import { describeWithGoldens, goldenPath, tinyBackbone } from './goldens';
import { craneModelOf } from './tiny-crane';

let folder: string;
let crane: Crane;
const picture = (): string => goldenPath('images/small.png');
const inFolder = (name: string): string => path.join(folder, name);

describeWithGoldens('Crane.stream', () => {
  beforeAll(async () => {
    await prepareBackend('auto');
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-stream-'));
    crane = await Crane.load({
      backbone: tinyBackbone(),
      prompts: goldenPath('prompts_tiny.pth'),
      imageSize: 70,
      layers: [2, 4, 6],
      eattnBlocks: 5,
    });
  });
  afterAll(() => {
    crane.dispose();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test.each([
    ['an iterable', 1],
    ['an iterable', 3],
    ['a feed', 1],
    ['a feed', 3],
  ])('%s is read ahead by two batches of %i, and one more that is asked for', async (kind, batchSize) => {
    let asked = 0;
    function* pictures(): Generator<string> {
      for (; asked < 40; asked++) yield picture();
    }
    async function* feed(): AsyncGenerator<string> {
      yield* pictures();
    }
    const ahead: number[] = [];
    let given = 0;
    for await (const { source } of crane.stream(kind === 'a feed' ? feed() : pictures(), { batchSize })) {
      expect(source).toBe(picture());
      // What is not to be read must not be read while the consumer takes its time.
      if (given < 8) await new Promise((resolve) => setTimeout(resolve, 10));
      // The counter stands at the one that is handed out last.
      ahead.push(asked + 1 - given);
      given++;
    }
    expect(given).toBe(40);
    expect(Math.max(...ahead.slice(0, 20))).toBe(2 * batchSize + 1);
  });

  test('the next images are being read before a batch is scored', async () => {
    const read: string[] = [];
    const encode = jest.spyOn(craneModelOf(crane), 'forward').mockImplementationOnce(() => {
      expect(read).toEqual(['0', '1', '2', '3', '4']);
      throw new Error('far enough');
    });
    function* pictures(): Generator<Uint8Array> {
      for (let count = 0; ; count++) {
        read.push(String(count));
        yield fs.readFileSync(picture());
      }
    }
    await expect(crane.stream(pictures(), { batchSize: 2 }).next()).rejects.toThrow('far enough');
    encode.mockRestore();
  });

  test.each([
    [true, [3, 3, 1]],
    [false, [1, 1, 1, 1, 1, 1, 1]],
  ] as const)('whole batches: %s, of images that come one by one', async (wholeBatches, sizes) => {
    let given = 0;
    async function* feed(): AsyncGenerator<string> {
      for (let count = 0; count < 7; count++) {
        do await new Promise((resolve) => setTimeout(resolve, 5));
        while (!wholeBatches && given < count); // what waits for whole batches would wait for ever
        yield picture();
      }
    }
    const forward = jest.spyOn(craneModelOf(crane), 'forward');
    for await (const { score } of crane.stream(feed(), { batchSize: 3, wholeBatches })) {
      expect(score).toBeGreaterThan(0);
      given++;
    }
    expect(forward.mock.calls.map(([images]) => images.shape[0])).toEqual(sizes);
    forward.mockRestore();
  });

  test('detections and failures carry what was given and its place, also where the same is given twice', async () => {
    const bytes = fs.readFileSync(picture());
    const given = [bytes, '/gone.png', bytes, picture(), '/gone.png'];
    const failed: [unknown, number][] = [];
    const found: [unknown, number][] = [];
    const onFailure = ({ input, index }: { input: unknown; index: number }): void => void failed.push([input, index]);
    for await (const { input, index } of crane.stream(given, { batchSize: 2, onFailure })) found.push([input, index]);
    expect(found).toEqual([0, 2, 3].map((index) => [given[index], index]));
    expect(failed).toEqual([1, 4].map((index) => [given[index], index]));
    expect(found[0]?.[0]).toBe(bytes);
  });

  test('a picture that is kept can be laid under its map when its file has gone', async () => {
    for (const keepPictures of [true, false]) {
      const file = inFolder('part.png');
      fs.copyFileSync(goldenPath('images/rgb.png'), file);
      for await (const { map } of crane.stream([file], { keepPictures })) {
        const kept = fs.existsSync(file) && (await map.render('overlay'));
        fs.rmSync(file);
        if (keepPictures) expect(await map.render('overlay')).toEqual(kept);
        else await expect(map.render('overlay')).rejects.toThrow(/no such file/);
      }
    }
  });

  test('a watched folder is a feed: images as they come, until it is stopped', async () => {
    const watched = new WatchedFolder(folder, { settle: 10, interval: 50 });
    fs.copyFileSync(picture(), inFolder('0.png'));
    const seen: string[] = [];
    for await (const { source } of crane.stream(watched)) {
      seen.push(path.basename(source));
      if (seen.length < 4) fs.copyFileSync(picture(), inFolder(`${seen.length}.png`));
      else watched.stop();
    }
    expect(seen).toEqual(['0.png', '1.png', '2.png', '3.png']);
  });
});
