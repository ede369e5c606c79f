import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { FeatureCache } from '../../train/feature-cache/feature-cache';
import { runCrane } from './run-crane';

let folder: string;
const before = process.env['CRANE_CACHE'];

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-cache-command-'));
  process.env['CRANE_CACHE'] = folder;
});

afterEach(() => {
  if (before === undefined) delete process.env['CRANE_CACHE'];
  else process.env['CRANE_CACHE'] = before;
  fs.rmSync(folder, { recursive: true, force: true });
});

async function keep(id: string, bytes: number): Promise<FeatureCache> {
  const key = id.repeat(64);
  const cache = await FeatureCache.open(
    {
      id: id.repeat(32),
      description: { backbone: 'c0ffee00'.repeat(8), options: { imageSize: 518, spatial: 'none' } },
    },
    [key],
  );
  await cache.fill(bytes, () => cache.append(key, new Uint8Array(bytes)));
  return cache;
}

test('shows what there is, and clears what nobody uses', async () => {
  expect((await runCrane('cache')).out).toContain(`${path.join(folder, 'features')}: 0 bytes`);
  await (await keep('a', 1000)).close();
  const used = await keep('b', 2000);
  const shown = await runCrane('cache', 'show');
  expect(shown.code).toBe(0);
  expect(shown.out).toMatch(/features: 3\.1 kB of/);
  expect(shown.out).toMatch(/^aaaaaaaa +sha256 c0ffee00 +518 +none +1\.1 kB +\d{4}-\d\d-\d\d \d\d:\d\d$/m);
  expect(JSON.parse((await runCrane('cache', 'show', '--json')).out)).toMatchObject({
    bytes: 3128,
    spaces: [{ bytes: 2064 }, { bytes: 1064, description: { options: { imageSize: 518 } } }],
  });
  expect((await runCrane('cache', 'clear')).out).toMatch(/^1\.1 kB removed; 2\.1 kB kept/);
  await used.close();
  expect(JSON.parse((await runCrane('cache', 'clear', '--json')).out)).toEqual({ removed: 2064, kept: 0 });
});
