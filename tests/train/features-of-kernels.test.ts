import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import type { FeaturesInCompany } from './features-alone';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

let folder: string;
let files: string[];

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-kernels-'));
  // More images than are ever encoded together, and an odd number of tokens: rows fall out of step with the blocks of products.
  files = [writeSmallBackbone(folder), await writeSmallSet(path.join(folder, 'plates'), { normal: 9, anomalous: 10 })];
});

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Without oneDNN's graph operations, and with its kernels held to AVX2, TensorFlow computes as on a processor that has no more. */
const ORDINARY = { TF_ENABLE_ONEDNN_OPTS: '0', ONEDNN_MAX_CPU_ISA: 'AVX2' };

// A processor without the instructions, or a checkout without the native library, has less to show; what it computes with has to hold the same.
test.each<[string, Record<string, string>]>([
  ['as this machine computes', {}],
  ['AVX2', { ...ORDINARY, CRANE_NATIVE_VECTORS: 'avx2' }],
  ['AVX2 by oneDNN', { ONEDNN_MAX_CPU_ISA: 'AVX2', CRANE_NATIVE_VECTORS: 'avx2' }],
  ['plain kernels', { CRANE_PLAIN_KERNELS: '1' }],
  ['plain kernels on AVX2', { ...ORDINARY, CRANE_PLAIN_KERNELS: '1' }],
  ['WebAssembly', { CRANE_NO_NATIVE: '1' }],
])('features do not depend on what else is encoded, to the last bit: %s', async (_, environment) => {
  const child = await promisify(execFile)(
    process.execPath,
    ['-r', 'ts-node/register/transpile-only', path.join(__dirname, 'features-alone.ts'), ...files],
    { cwd: path.resolve(__dirname, '../..'), env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', ...environment } },
  );
  const { backend, kernels, hashes } = JSON.parse(child.stdout) as FeaturesInCompany;
  if ('CRANE_NO_NATIVE' in environment) expect(backend).toBe('wasm');
  if (backend === 'tensorflow' && 'CRANE_PLAIN_KERNELS' in environment) expect(kernels).toBe('plain');
  const [whole, reversed, alone] = hashes;
  expect(new Set(whole).size).toBe(19);
  expect(reversed).toEqual(whole);
  expect(alone).toEqual(whole);
});
