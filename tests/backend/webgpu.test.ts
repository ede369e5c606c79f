import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isWebgpuInstalled, WEBGPU_PACKAGES } from '../../lib/backend/webgpu';
import { goldensFolder } from '../goldens';
import type { WebgpuFindings } from './webgpu-child';

const root = resolve(__dirname, '../..');

/** Where Chromium brings a processor that plays a GPU, with a Vulkan loader beside it. */
const CHROMIUM_FOLDERS = [
  '/usr/lib/chromium',
  '/usr/lib64/chromium-browser',
  '/opt/google/chrome',
  '/snap/chromium/current/usr/lib/chromium-browser',
];

/** What to add to the environment so that there is a driver; undefined where there is none to be found. */
function driver(): Record<string, string> | undefined {
  const named = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].filter((name) => process.env[name] !== undefined);
  if (named.length > 0 || process.env['CRANE_TEST_WEBGPU'] !== undefined) return {};
  const folder = CHROMIUM_FOLDERS.find((candidate) =>
    ['vk_swiftshader_icd.json', 'libvulkan.so.1'].every((name) => existsSync(join(candidate, name))),
  );
  return folder === undefined
    ? undefined
    : { VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'), LD_LIBRARY_PATH: folder };
}

function whyNot(): string | undefined {
  if (!isWebgpuInstalled()) return `${WEBGPU_PACKAGES} are not installed`;
  if (driver() === undefined)
    return 'there is no Vulkan driver: install Chromium, which brings one, or set CRANE_TEST_WEBGPU=1 where a GPU is';
  return goldensFolder === undefined ? 'the goldens are missing' : undefined;
}

const reason = whyNot();
if (reason !== undefined)
  process.stderr.write(`\nWEBGPU NOT TESTED: skipping the tests that compute on it, because ${reason}.\n`);

test('the packages that people are told to install are those of package.json', () => {
  const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    peerDependencies: Record<string, string>;
  };
  expect(WEBGPU_PACKAGES.split(' ').sort()).toEqual(
    Object.entries(peerDependencies)
      .map(([name, version]) => `${name}@${version}`)
      .sort(),
  );
});

(reason === undefined ? describe : describe.skip)('a process that computes on WebGPU', () => {
  let findings: WebgpuFindings;

  beforeAll(async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['-r', 'ts-node/register/transpile-only', join(__dirname, 'webgpu-child.ts')],
      { cwd: root, env: { ...process.env, ...driver() }, timeout: 500_000, maxBuffer: 2 ** 28 },
    );
    findings = JSON.parse(stdout) as WebgpuFindings;
  });

  test('has passed the self-check, and says what it computes on', () => {
    expect(findings.info).toMatchObject({
      name: 'webgpu',
      device: expect.any(String) as string,
      selfCheck: { passed: true },
    });
  });

  test('finds the scores, maps, features, losses and gradients of the usual backend, and the same prompts after a step', () => {
    const names = Object.keys(findings.values);
    for (const part of [
      'map of nano',
      'losses',
      'gradient of ctx_pos',
      'ctx_neg after a step',
      'patch features 0 of crane',
      'patch features 1 of crane+',
    ])
      expect(names).toContain(part);
    const differences = Object.entries(findings.values).map(([name, [usual, webgpu]]) => {
      const size = Math.max(1, ...usual.map(Math.abs));
      return {
        name,
        count: webgpu.length === usual.length,
        difference: Math.max(...usual.map((value, index) => Math.abs(value - (webgpu[index] ?? NaN)))) / size,
      };
    });
    expect(differences.filter(({ count, difference }) => !count || !(difference < 1e-3))).toEqual([]);
  });

  test('leaves no tensors behind, nor looks like a browser to other packages', () => {
    expect(findings.leaked).toBe(0);
    expect(findings.navigatorChanged).toBe(false);
  });

  test('takes tensors as large as the adapter does', () => {
    const [adapter, device] = findings.limits;
    expect(device).toBe(adapter);
    expect(device).toBeGreaterThan(0);
  });

  test('refuses a tensor over the limit, and gives out no numbers after an error of the device', () => {
    expect(findings.errors).toMatchObject({
      tooLarge: 'backend/tensor-too-large',
      device: 'backend/device',
      afterwards: 'backend/device',
    });
  });

  test('is taken for hardware only where it is', () => {
    expect(findings.errors.hardwareOnly).toBe(findings.info['gpu'] === true ? 'no error' : 'backend/unavailable');
  });
});
