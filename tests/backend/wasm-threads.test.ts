import * as tf from '@tensorflow/tfjs';
import { version_wasm } from '@tensorflow/tfjs-backend-wasm';
import { execFile } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { prepareBackend } from '../../lib/backend';
import * as build from '../../lib/backend/wasm-build';
import { startThreadedBackend } from '../../lib/backend/wasm-threads';

interface ChildResult {
  readonly threads: number;
  readonly warning: string | null;
  readonly added: number;
  readonly worker: boolean;
  readonly shared: boolean;
  readonly values: number[];
}

/** Runs the child to its end, which it must reach by itself. */
async function child(threads: number): Promise<ChildResult> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['-r', 'ts-node/register/transpile-only', join(__dirname, 'wasm-child.ts')],
    {
      cwd: resolve(__dirname, '../..'),
      env: { ...process.env, CRANE_WASM_THREADS: String(threads) },
      timeout: 500_000,
    },
  );
  return JSON.parse(stdout) as ChildResult;
}

describe('a process that detects on WebAssembly', () => {
  test('computes the same with threads as without, leaves nothing behind in the process, and ends by itself', async () => {
    const one = await child(1);
    expect(one).toMatchObject({ threads: 1, warning: null, shared: false });
    const two = await child(2);
    expect(two).toMatchObject({ threads: 2, warning: null, added: 0, worker: false, shared: false });
    expect(two.values.length).toBe(2 * 3 * 67 * 59 + 1 + 96 * 80);
    expect(one.values.every(Number.isFinite)).toBe(true);
    const difference = Math.max(...two.values.map((value, index) => Math.abs(value - (one.values[index] ?? NaN))));
    expect(difference).toBeLessThan(1e-6);
  });
});

describe('where threads cannot be had', () => {
  const folder = mkdtempSync(join(tmpdir(), 'crane-wasm-'));
  beforeAll(() => cpSync(build.wasmFolder(), folder, { recursive: true }));
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(() => jest.restoreAllMocks());

  test('files that are not those of the known version are refused by name', () => {
    const file = 'tfjs-backend-wasm-threaded-simd.worker.js';
    expect(build.readThreadedBuild(folder).threadProgram).toContain('startWorker');
    appendFileSync(join(folder, file), '\n');
    expect(() => build.readThreadedBuild(folder)).toThrow(
      `${file} of @tensorflow/tfjs-backend-wasm is not that of version 4.22.0`,
    );
    expect(version_wasm).toBe('4.22.0');
  });

  test.each([
    ['fails', 'throw new Error("broken")', /broken/],
    ['ends', '', /a thread has ended, with code 0/],
  ])('a thread that %s at once is an error, not a wait', async (_, threadProgram, message) => {
    await expect(startThreadedBackend(2, { ...build.readThreadedBuild(), threadProgram })).rejects.toThrow(message);
  });

  test('one thread computes, and a warning says why', async () => {
    jest.spyOn(build, 'readThreadedBuild').mockImplementation(() => {
      throw new Error('the files are others');
    });
    const info = await prepareBackend('wasm', { threads: 2 });
    expect(info).toMatchObject({
      name: 'wasm',
      threads: 1,
      warning: 'WebAssembly computes on one thread, which is slower: the files are others.',
    });
    expect(await prepareBackend('wasm', { threads: 2 })).toEqual(info);
    expect(Array.from(tf.tidy(() => tf.matMul(tf.ones([2, 3]), tf.ones([3, 1])).dataSync()))).toEqual([3, 3]);
  });
});

describe('the threads of a backend', () => {
  test('are as many as asked for, without the main one, and end with the backend', async () => {
    const ended = jest.spyOn(Worker.prototype, 'terminate');
    const backend = await startThreadedBackend(3);
    expect(backend.wasm.tfjs.getThreadsCount()).toBe(3);
    backend.dispose();
    expect(ended).toHaveBeenCalledTimes(2);
    ended.mockRestore();
  });
});
