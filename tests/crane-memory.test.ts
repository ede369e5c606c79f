import sharp from 'sharp';
import { Crane } from '../index';
import type { ImageInput } from '../lib/image/input';
import { MemoryBudget, type MemoryClaim } from '../lib/memory-budget';

/** Claims that have been granted something, and the most of them there were at the same time. */
const granted = { now: 0, most: 0 };

jest.mock('../lib/memory-budget', () => {
  const actual = jest.requireActual<{ MemoryBudget: typeof MemoryBudget; PICTURE_BYTES: number }>(
    '../lib/memory-budget',
  );
  class SmallBudget extends actual.MemoryBudget {
    constructor() {
      super(2 ** 20);
    }

    override claim(): MemoryClaim {
      const claim = super.claim();
      let counted = false;
      return {
        grow: async (bytes) => {
          await claim.grow(bytes);
          if (!counted && bytes > 0) granted.most = Math.max(granted.most, ++granted.now);
          counted ||= bytes > 0;
        },
        release: () => {
          if (counted) granted.now--;
          counted = false;
          claim.release();
        },
      };
    }
  }
  return { ...actual, MemoryBudget: SmallBudget, PICTURE_BYTES: 2 ** 20 };
});

const picture = (side: number): Promise<Buffer> =>
  sharp({ create: { width: side, height: side, channels: 3, background: '#336699' } })
    .png()
    .toBuffer();

let crane: Crane;
beforeAll(async () => {
  crane = await Crane.load({ offline: true });
}, 120_000);
afterAll(() => crane.dispose());

async function score(input: ImageInput, keepPictures: boolean): Promise<number> {
  Object.assign(granted, { now: 0, most: 0 });
  let count = 0;
  for await (const { map, width } of crane.stream(Array<ImageInput>(6).fill(input), { batchSize: 4, keepPictures })) {
    expect(map).toHaveLength(width * width);
    // A map is drawn while the next pictures wait, also where its own was not kept.
    if (keepPictures) expect((await map.render('overlay')).length).toBeGreaterThan(0);
    count++;
  }
  expect(count).toBe(6);
  expect(granted.now).toBe(0);
  return granted.most;
}

test('pictures that are larger than the budget are in memory one at a time, with their maps; small ones together', async () => {
  for (const keepPictures of [false, true]) expect(await score(await picture(700), keepPictures)).toBe(1);
  expect(await score(await picture(40), false)).toBeGreaterThan(1);
}, 120_000);

test('a stream that is left does not go on reading what waited for memory', async () => {
  Object.assign(granted, { now: 0, most: 0 });
  for await (const { score: value } of crane.stream(Array<ImageInput>(8).fill(await picture(700)), { batchSize: 2 })) {
    expect(value).toBeGreaterThan(0);
    break;
  }
  for (let turn = 0; turn < 200 && granted.now > 0; turn++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(granted).toEqual({ now: 0, most: 1 });
}, 120_000);

test('time that a feed lets pass is not in the seconds of an image', async () => {
  const bytes = await picture(40);
  let clock = 0;
  const now = jest.spyOn(performance, 'now').mockImplementation(() => clock);
  let answered: () => void = () => undefined;
  async function* feed(): AsyncGenerator<ImageInput> {
    for (let count = 0; count < 3; count++) {
      const answer = new Promise<void>((resolve) => (answered = resolve));
      // The stream waits for the next image by now.
      await new Promise((resolve) => setImmediate(resolve));
      clock += 1e6;
      yield bytes;
      await answer;
    }
  }
  try {
    const seconds: number[] = [];
    for await (const detection of crane.stream(feed())) {
      seconds.push(detection.seconds);
      answered();
    }
    expect(seconds).toEqual([0, 0, 0]);
  } finally {
    now.mockRestore();
  }
}, 120_000);
