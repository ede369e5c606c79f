import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { prepareBackend } from '../../lib/backend';
import { featureCacheContents } from '../../train/feature-cache/contents';
import { readPromptCheckpoint } from '../../lib/weights/prompt-checkpoint';
import { runTraining } from '../../train/run';
import type { TrainOptions } from '../../train/run-options';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let backbone: string;
let auxiliary: string;

beforeAll(async () => {
  await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-run-cache-'));
  backbone = writeSmallBackbone(folder);
  auxiliary = await writeSmallSet(path.join(folder, 'plates'));
});

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** The prompts of a short run, as bytes. */
async function prompts(name: string, options: Partial<TrainOptions>): Promise<Buffer> {
  const { prompts: file } = await runTraining({
    auxiliary,
    backbone,
    out: path.join(folder, name),
    training: { epochs: 1, batchSize: 4 },
    ...options,
  });
  return fs.readFileSync(file);
}

test('equal seeds give equal bytes: without a cache, with an empty one, and with a full one', async () => {
  const cache = { folder: path.join(folder, 'cache') };
  const [none, cold, warm] = [
    await prompts('none', { cache: false }),
    await prompts('cold', { cache }),
    await prompts('warm', { cache }),
  ];
  expect(featureCacheContents(cache.folder).bytes).toBeGreaterThan(11 * 16 * 32 * 2);
  expect(cold.equals(none)).toBe(true);
  expect(warm.equals(none)).toBe(true);
});

test('rounded gradients, as in the reference, change the prompts by little', async () => {
  await prompts('exact', { cache: false, training: { epochs: 1, batchSize: 4, roundGradients: false } });
  await prompts('rounded', { cache: false });
  const [a, b] = (await Promise.all(
    ['exact', 'rounded'].map(
      async (name) => (await readPromptCheckpoint(path.join(folder, name, 'prompts.safetensors'))).contextNormal,
    ),
  )) as [Float32Array, Float32Array];
  const difference = Math.max(...a.map((value, index) => Math.abs(value - (b[index] as number))));
  expect(difference).toBeGreaterThan(0);
  expect(difference).toBeLessThan(3e-3);
});
