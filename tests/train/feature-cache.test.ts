import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import fc from 'fast-check';
import { clearFeatureCache, featureCacheContents, shardsIn } from '../../train/feature-cache/contents';
import { FeatureCache, type FeatureCacheOptions } from '../../train/feature-cache/feature-cache';
import { scanShard, ShardReader, ShardWriter } from '../../train/feature-cache/shard';
import type { FeatureSpace } from '../../train/feature-cache/space';
import { seededUniform } from '../../lib/weights/seeded';

let folder: string;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-cache-'));
});

afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

const SPACE: FeatureSpace = { id: 'a'.repeat(32), description: { backbone: 'small' } };
const BYTES = 1000;
const keyOf = (index: number): string => String(index).padStart(64, '0');
const payloadOf = (index: number, bytes = BYTES): Uint8Array => {
  const uniform = seededUniform(index);
  return Uint8Array.from({ length: bytes }, () => Math.floor(256 * uniform()));
};
const keys = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => keyOf(from + index));

async function openCache(wanted: string[], options: FeatureCacheOptions = {}): Promise<FeatureCache> {
  return FeatureCache.open(SPACE, wanted, { folder, ...options });
}

/** Puts records `from` to `to` into the cache, one run. */
async function fill(
  from: number,
  to: number,
  options: FeatureCacheOptions & { space?: FeatureSpace } = {},
): Promise<FeatureCache> {
  const cache = await FeatureCache.open(options.space ?? SPACE, keys(from, to), { folder, ...options });
  await cache.fill(BYTES, async () => {
    for (let index = from; index < to; index++)
      if (!cache.has(keyOf(index))) await cache.append(keyOf(index), payloadOf(index));
  });
  return cache;
}

async function fillAndClose(...args: Parameters<typeof fill>): Promise<void> {
  await (await fill(...args)).close();
}

/** Which of some records can be read, each with the right content. */
async function present(from: number, to: number): Promise<number[]> {
  const cache = await openCache(keys(from, to));
  const found: number[] = [];
  for (let index = from; index < to; index++) {
    const payload = await cache.read(keyOf(index));
    if (payload === null) continue;
    expect(Buffer.from(payload).equals(payloadOf(index))).toBe(true);
    found.push(index);
  }
  await cache.close();
  return found;
}

const shardFiles = (): string[] => featureCacheContents(folder).shards.map(({ file }) => file);
const age = (file: string, hours: number): void =>
  fs.utimesSync(file, new Date(Date.now() - 3.6e6 * hours), new Date(Date.now() - 3.6e6 * hours));

describe('a shard', () => {
  test('gives back what was appended, of any length', async () => {
    const file = path.join(folder, 'x.features');
    const writer = new ShardWriter(file);
    const lengths = [0, 1, 47, 48, 49, 4096];
    lengths.forEach((length, index) => writer.append(keyOf(index), payloadOf(index, length)));
    writer.close();
    expect(fs.statSync(file).size).toBe(writer.bytes);
    const records = scanShard(file);
    expect([...records.keys()]).toEqual(lengths.map((_, index) => keyOf(index)));
    const reader = new ShardReader();
    for (const [index, length] of lengths.entries()) {
      expect(Array.from((await reader.read(records.get(keyOf(index))!)) ?? [-1])).toEqual(
        Array.from(payloadOf(index, length)),
      );
    }
    await reader.close();
  });

  test('cut anywhere holds the records before the cut', () => {
    const whole = path.join(folder, 'whole.features');
    const writer = new ShardWriter(whole);
    for (let index = 0; index < 4; index++) writer.append(keyOf(index), payloadOf(index, 60));
    writer.close();
    const bytes = fs.readFileSync(whole);
    const cut = path.join(folder, 'cut.features');
    for (let length = 0; length <= bytes.length; length++) {
      fs.writeFileSync(cut, bytes.subarray(0, length));
      expect(scanShard(cut).size).toBe(Math.max(0, Math.floor((length - 16) / 108)));
    }
  });

  test('with any one byte changed gives no wrong payload', async () => {
    const file = path.join(folder, 'x.features');
    const writer = new ShardWriter(file);
    for (let index = 0; index < 3; index++) writer.append(keyOf(index), payloadOf(index, 40));
    writer.close();
    const bytes = fs.readFileSync(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] as number) ^ flip;
        fs.writeFileSync(file, damaged);
        const reader = new ShardReader();
        let right = 0;
        for (const [key, record] of scanShard(file)) {
          const payload = await reader.read(record);
          if (payload === null) continue;
          expect(Buffer.from(payload).equals(payloadOf(Number(key), 40))).toBe(true);
          right += 1;
        }
        await reader.close();
        expect(right).toBeLessThan(3);
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  test('that is gone, or something else, holds nothing', async () => {
    fs.writeFileSync(path.join(folder, 'x.features'), 'something else altogether');
    expect(scanShard(path.join(folder, 'x.features')).size).toBe(0);
    expect(scanShard(path.join(folder, 'y.features')).size).toBe(0);
    const reader = new ShardReader();
    expect(await reader.read({ file: path.join(folder, 'y.features'), offset: 0, length: 4, checksum: 0 })).toBeNull();
    await reader.close();
  });
});

describe('the cache', () => {
  test('gives the next run what the last one put in, and that to others of the same space only', async () => {
    await fillAndClose(0, 5);
    expect(await present(0, 7)).toEqual([0, 1, 2, 3, 4]);
    const other = await FeatureCache.open({ ...SPACE, id: 'b'.repeat(32) }, keys(0, 5), { folder });
    expect(keys(0, 5).filter((key) => other.has(key))).toEqual([]);
    await other.close();
    expect(JSON.parse(fs.readFileSync(path.join(folder, SPACE.id, 'space.json'), 'utf8'))).toEqual(SPACE.description);
  });

  test('begins another shard where one is large enough', async () => {
    await fillAndClose(0, 10, { shardBytes: 3000 });
    expect(featureCacheContents(folder).shards.map(({ bytes }) => bytes)).toEqual([
      16 + 3 * 1048,
      16 + 3 * 1048,
      16 + 3 * 1048,
      16 + 1048,
    ]);
    expect(await present(0, 10)).toHaveLength(10);
  });

  test('writes again what is damaged, and reads the new one from then on', async () => {
    await fillAndClose(0, 3);
    const [file] = shardFiles() as [string];
    const bytes = fs.readFileSync(file);
    bytes[16 + 1048 + 48 + 10] = (bytes[16 + 1048 + 48 + 10] as number) ^ 1; // in the second payload
    fs.writeFileSync(file, bytes);
    expect(await present(0, 3)).toEqual([0, 2]);
    const cache = await openCache(keys(0, 3));
    for (const key of keys(0, 3)) await cache.read(key);
    const written: string[] = [];
    await cache.fill(BYTES, async () => {
      for (const index of [0, 1, 2]) {
        if (cache.has(keyOf(index))) continue;
        written.push(keyOf(index));
        await cache.append(keyOf(index), payloadOf(index));
      }
    });
    await cache.close();
    expect(written).toEqual([keyOf(1)]);
    expect(await present(0, 3)).toEqual([0, 1, 2]);
  });

  test('keeps within its bound: shards not used for longest go first', async () => {
    for (const index of [0, 1, 2]) {
      await fillAndClose(2 * index, 2 * index + 2);
    }
    const files = shardsIn(path.join(folder, SPACE.id)).map(({ file }) => file);
    const oneShard = 16 + 2 * 1048;
    age(files[0] as string, 2);
    age(files[1] as string, 3);
    age(files[2] as string, 1);
    await (await openCache(keys(2, 4))).close(); // used again: now the latest
    await fillAndClose(6, 8, { limit: 3 * oneShard });
    expect(await present(0, 8)).toEqual([2, 3, 4, 5, 6, 7]);
  });

  test('never removes what a run uses, and says so where there is no room beside it', async () => {
    const using = await fill(0, 4);
    const failing = openCache(keys(4, 8), { limit: 6000 }).then(async (cache) => {
      try {
        await cache.fill(BYTES, () => Promise.reject(new Error('should not begin')));
      } finally {
        await cache.close();
      }
    });
    await expect(failing).rejects.toMatchObject({
      code: 'training/cache-limit',
      message: expect.stringMatching(
        /4 images take 4\.2 kB, but the cache is limited to 6\.0 kB, of which 4\.2 kB are in use.*`cache\.size: 1000000000`.*`cache: false`/,
      ) as string,
      data: { bytes: 4 * 1048, limit: 6000 },
    });
    expect(await clearFeatureCache(folder)).toEqual({ removed: 0, kept: 16 + 4 * 1048 });
    for (const key of keys(0, 4)) expect(await using.read(key)).not.toBeNull();
    await using.close();
    await fillAndClose(4, 8, { limit: 6000 });
    expect(await present(0, 8)).toEqual([4, 5, 6, 7]);
  });

  test('counts what another run is still going to write', async () => {
    const other = await openCache(keys(0, 4));
    await other.fill(BYTES, async () => {
      await other.append(keyOf(0), payloadOf(0));
      const cache = await openCache(keys(4, 6), { limit: 5 * 1048 });
      await expect(cache.fill(BYTES, () => Promise.resolve())).rejects.toMatchObject({ code: 'training/cache-limit' });
      await cache.close();
    });
    await other.close();
  });

  test('takes no notice of runs that were killed', async () => {
    await fillAndClose(0, 4);
    const lease = {
      pid: 2 ** 22 + 1,
      host: os.hostname(),
      shards: shardFiles().map((file) => path.relative(folder, file)),
      pending: 1e12,
    };
    fs.mkdirSync(path.join(folder, 'leases'), { recursive: true });
    fs.writeFileSync(path.join(folder, 'leases', 'dead.json'), JSON.stringify(lease));
    fs.writeFileSync(path.join(folder, 'leases', 'torn.json'), '{"pid":');
    expect(await clearFeatureCache(folder)).toEqual({ removed: 16 + 4 * 1048, kept: 0 });
    expect(fs.existsSync(path.join(folder, SPACE.id))).toBe(false);
    expect(fs.existsSync(path.join(folder, 'leases', 'dead.json'))).toBe(false);
  });

  test('more than the disk has left is refused before it starts, with both figures', async () => {
    const cache = await openCache(keys(0, 2));
    const statfs = jest.spyOn(fs.promises, 'statfs').mockResolvedValue({ bavail: 20000, bsize: 4096 } as fs.StatsFs);
    try {
      await expect(cache.fill(10e6, () => Promise.reject(new Error('should not begin')))).rejects.toMatchObject({
        code: 'training/cache-space',
        message: expect.stringMatching(/2 images take 20\.0 MB, but .* has 14\.8 MB free/) as string,
      });
    } finally {
      statfs.mockRestore();
      await cache.close();
    }
  });

  test('a disk that fills up while writing is named, and what was written before stays', async () => {
    const cache = await openCache(keys(0, 3));
    const system = jest.requireActual<typeof fs>('node:fs');
    const write = system.writeSync;
    let calls = 0;
    const spy = jest.spyOn(system, 'writeSync').mockImplementation(((...args: Parameters<typeof fs.writeSync>) => {
      // The file's header, two records of two writes each; the third record's payload gets through by half.
      if (++calls < 7) return write(...args);
      if (calls === 7)
        return write(
          args[0],
          (args[1] as unknown as Uint8Array).subarray(0, 500),
          0,
          500,
          (args as unknown[])[4] as number,
        );
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    }) as typeof fs.writeSync);
    try {
      await expect(
        cache.fill(BYTES, async () => {
          for (const index of [0, 1, 2]) await cache.append(keyOf(index), payloadOf(index));
        }),
      ).rejects.toMatchObject({ code: 'training/cache-space' });
    } finally {
      spy.mockRestore();
      await cache.close();
    }
    expect(await present(0, 3)).toEqual([0, 1]);
    expect(featureCacheContents(folder).bytes).toBe(16 + 2 * 1048);
  });

  test('a folder that cannot be used is named', async () => {
    fs.writeFileSync(path.join(folder, 'file'), '');
    await expect(FeatureCache.open(SPACE, [], { folder: path.join(folder, 'file') })).rejects.toMatchObject({
      code: 'training/cache-unwritable',
      message: expect.stringContaining('CRANE_CACHE') as string,
    });
  });

  test('an empty one is nothing to clear', async () => {
    expect(await clearFeatureCache(path.join(folder, 'absent'))).toEqual({ removed: 0, kept: 0 });
    expect(fs.existsSync(path.join(folder, 'absent'))).toBe(false);
  });
});

describe('several processes', () => {
  /**
   * A process that fills the cache, one record every few milliseconds, and prints how many it wrote.
   * @param gate a file that it waits for before it writes
   */
  const child = (
    from: number,
    to: number,
    pause = 2,
    gate?: string,
  ): {
    exit: Promise<{ code: number | null; out: string }>;
    kill: () => void;
    says: (text: string) => Promise<void>;
  } => {
    const script = `
      const { FeatureCache } = require(${JSON.stringify(path.resolve(__dirname, '../../train/feature-cache/feature-cache'))});
      const { seededUniform } = require(${JSON.stringify(path.resolve(__dirname, '../../lib/weights/seeded'))});
      const payloadOf = (index) => { const uniform = seededUniform(index); return Uint8Array.from({ length: ${BYTES} }, () => Math.floor(256 * uniform())); };
      const keys = Array.from({ length: ${to - from} }, (_, index) => String(${from} + index).padStart(64, '0'));
      (async () => {
        const cache = await FeatureCache.open(${JSON.stringify(SPACE)}, keys, { folder: ${JSON.stringify(folder)}, onWait: () => console.log('waiting') });
        let written = 0;
        await cache.fill(${BYTES}, async () => {
          console.log('filling');
          while (${JSON.stringify(gate ?? '')} && !require('node:fs').existsSync(${JSON.stringify(gate ?? '')})) await new Promise((resolve) => setTimeout(resolve, 10));
          for (const key of keys) {
            if (cache.has(key)) continue;
            await cache.append(key, payloadOf(Number(key)));
            written += 1;
            await new Promise((resolve) => setTimeout(resolve, ${pause}));
          }
        });
        await cache.close();
        console.log('wrote ' + written);
      })();`;
    const process_ = spawn(process.execPath, ['-r', 'ts-node/register/transpile-only', '-e', script], {
      cwd: path.resolve(__dirname, '../..'),
    });
    let out = '';
    process_.stdout.on('data', (text) => (out += String(text)));
    process_.stderr.on('data', (text) => (out += String(text)));
    const exit = new Promise<{ code: number | null; out: string }>((resolve) =>
      process_.on('close', (code) => resolve({ code, out })),
    );
    const says = async (text: string): Promise<void> => {
      while (!out.includes(text) && process_.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    return { exit, kill: () => void process_.kill('SIGKILL'), says };
  };

  test('fill it at once without harm; those that want the same wait, and do nothing twice', async () => {
    const gate = path.join(folder, 'gate');
    const first = child(0, 60, 1, gate);
    await first.says('filling');
    const [second, other] = [child(0, 60), child(40, 100)];
    await second.says('waiting');
    fs.writeFileSync(gate, '');
    const results = await Promise.all([first.exit, second.exit, other.exit]);
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(results[0].out).toContain('wrote 60');
    expect(results[1].out).toMatch(/waiting\nwrote 0/);
    expect(await present(0, 100)).toHaveLength(100);
    expect(fs.readdirSync(path.join(folder, 'leases'))).toEqual([]);
  });

  test('one that is killed in the middle leaves whole records, and the next goes on after them', async () => {
    const killed = child(0, 200, 50);
    await killed.says('filling');
    while (featureCacheContents(folder).bytes < 3 * BYTES) await new Promise((resolve) => setTimeout(resolve, 10));
    killed.kill();
    await killed.exit;
    const survived = (await present(0, 200)).length;
    expect(survived).toBeGreaterThan(0);
    expect(survived).toBeLessThan(200);
    expect((await child(0, 200, 0).exit).out).toContain(`wrote ${200 - survived}`);
    expect(await present(0, 200)).toHaveLength(200);
  });
});
