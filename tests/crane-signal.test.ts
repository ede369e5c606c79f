import * as fs from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import * as tf from '@tensorflow/tfjs';
import { Crane } from '../index';
import { prepareBackend } from '../lib/backend';
import { orAborted, withTimeout } from '../lib/cancellation';
import { describeWithGoldens, goldenPath, tinyBackbone } from './goldens';

const load = (): Promise<Crane> =>
  Crane.load({
    backbone: tinyBackbone(),
    prompts: goldenPath('prompts_tiny.pth'),
    imageSize: 70,
    layers: [2, 4, 6],
    eattnBlocks: 5,
    allowPrivateUrls: true,
  });
const reason = new Error('the shift is over');
const picture = (): string => goldenPath('images/small.png');

describeWithGoldens('an AbortSignal', () => {
  let crane: Crane;
  let tensors: number;
  beforeAll(async () => {
    await prepareBackend('auto');
    crane = await load();
    await crane.detect(picture());
    tensors = tf.memory().numTensors;
  });
  afterEach(() => expect(tf.memory().numTensors).toBe(tensors));
  afterAll(() => crane.dispose());

  test('that is aborted before the call keeps anything from being read', async () => {
    const signal = AbortSignal.abort(reason);
    await expect(crane.detect('nowhere.png', { signal })).rejects.toBe(reason);
    await expect(crane.detect([picture(), picture()], { signal })).rejects.toBe(reason);
    let asked = 0;
    const feed = { [Symbol.iterator]: () => ({ next: () => ({ done: true as const, value: asked++ }) }) };
    await expect(crane.stream(feed as Iterable<string>, { signal }).next()).rejects.toBe(reason);
    expect(asked).toBe(0);
  });

  test('ends a stream whose feed lets it wait, and the feed with it', async () => {
    const controller = new AbortController();
    let left = false;
    async function* feed(): AsyncGenerator<string> {
      try {
        yield picture();
        yield picture();
        setTimeout(() => controller.abort(reason), 20);
        await new Promise((resolve) => setTimeout(resolve, 50));
        yield picture();
        yield picture();
      } finally {
        left = true;
      }
    }
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { source } of crane.stream(feed(), { signal: controller.signal })) seen.push(source);
    })();
    await expect(reading).rejects.toBe(reason);
    expect(seen.length).toBeLessThanOrEqual(2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(left).toBe(true);
  });

  test('ends a stream between two images of one batch, although `onFailure` takes failures', async () => {
    const controller = new AbortController();
    const failures: unknown[] = [];
    const seen: number[] = [];
    const reading = (async () => {
      const options = {
        signal: controller.signal,
        batchSize: 3,
        onFailure: (failure: unknown) => failures.push(failure),
      };
      for await (const { score } of crane.stream([picture(), picture(), picture()], options)) {
        seen.push(score);
        controller.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    expect([seen.length, failures.length]).toEqual([1, 0]);
  });

  test('ends while the model computes, without a tensor that stays', async () => {
    const controller = new AbortController();
    const forClass = jest.spyOn(crane.model, 'forClass').mockImplementationOnce((name) => {
      forClass.mockRestore();
      const scorer = crane.model.forClass(name);
      return {
        score: (images) => {
          controller.abort(reason);
          return scorer.score(images);
        },
      };
    });
    await expect(crane.detect(picture(), { signal: controller.signal })).rejects.toBe(reason);
  });

  test('ends a download under way, and leaves the caller’s tensor alone', async () => {
    const controller = new AbortController();
    let closed: () => void;
    const ended = new Promise<void>((resolve) => (closed = resolve));
    const server = http.createServer((request, response) => {
      request.socket.on('close', () => closed());
      response.write('the first bytes');
      controller.abort(reason);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/part.png`;
    const tensor = tf.zeros([8, 8, 3]) as tf.Tensor3D;
    await expect(crane.detect([url, tensor], { signal: controller.signal })).rejects.toBe(reason);
    await ended;
    expect(tensor.isDisposed).toBe(false);
    tensor.dispose();
    server.close();
  });

  test('that is not aborted changes nothing and is listened to no more', async () => {
    const controller = new AbortController();
    const add = jest.spyOn(controller.signal, 'addEventListener');
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    const { score } = await crane.detect(fs.readFileSync(picture()), { signal: controller.signal });
    expect(score).toBe((await crane.detect(picture())).score);
    await new Promise((resolve) => setImmediate(resolve));
    expect(add.mock.calls.length).toBeGreaterThan(0);
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
  });
});

describeWithGoldens('the end of a block', () => {
  test.each(['dispose', 'asyncDispose'] as const)('Symbol.%s releases what `dispose` does', async (kind) => {
    await prepareBackend('auto');
    const before = tf.memory().numTensors;
    const crane = await load();
    expect(tf.memory().numTensors).toBeGreaterThan(before);
    await crane[Symbol[kind]]();
    expect(tf.memory().numTensors).toBe(before);
    await expect(crane.detect(picture())).rejects.toMatchObject({ code: 'usage/disposed' });
    // A second end does nothing.
    await crane[Symbol[kind]]();
  });

  test('`await using` and `using` call them', async () => {
    await prepareBackend('auto');
    const before = tf.memory().numTensors;
    {
      await using first = await load();
      using second = await load();
      expect(first.description.method + second.description.method).toBe('cranecrane');
    }
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('waiting', () => {
  test('a promise that settles first is what it is', async () => {
    const { signal } = new AbortController();
    await expect(orAborted(Promise.resolve(4), signal)).resolves.toBe(4);
    await expect(orAborted(Promise.reject(reason), signal)).rejects.toBe(reason);
  });

  test('time that is over, and an outer signal, abort a task with their reason', async () => {
    const endless = (signal: AbortSignal): Promise<never> =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('another'))));
    await expect(withTimeout(5, undefined, endless)).rejects.toMatchObject({ name: 'TimeoutError' });
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 5);
    await expect(withTimeout(1e6, controller.signal, endless)).rejects.toBe(reason);
    await expect(withTimeout(1e6, undefined, () => Promise.reject(reason))).rejects.toBe(reason);
  });
});
