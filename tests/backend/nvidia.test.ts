import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nvidiaDriver } from '../../lib/backend/nvidia';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'crane-nvidia-'))));
afterEach(() => rmSync(folder, { recursive: true }));

describe('nvidiaDriver', () => {
  test.each([
    [
      'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb 24 01:26:45 UTC 2024\nGCC version:  gcc 12.2.0\n',
      '535.161.08',
    ],
    ['NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs-builder)\n', '550.54.15'],
    ['something else\n', null],
  ])('reads the version out of %j', (text, version) => {
    writeFileSync(join(folder, 'version'), text);
    expect(nvidiaDriver(folder)).toEqual({ version, gpus: [] });
  });

  test('names the model of each GPU', () => {
    writeFileSync(join(folder, 'version'), 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat\n');
    for (const [bus, model] of [
      ['0000:01:00.0', 'NVIDIA H200'],
      ['0000:02:00.0', 'NVIDIA L4'],
    ] as const) {
      mkdirSync(join(folder, 'gpus', bus), { recursive: true });
      writeFileSync(
        join(folder, 'gpus', bus, 'information'),
        `Model: \t\t ${model}\nIRQ:   \t\t 16\nGPU UUID: \t GPU-1\n`,
      );
    }
    expect(nvidiaDriver(folder)?.gpus).toEqual(['NVIDIA H200', 'NVIDIA L4']);
  });

  test('is null without a driver', () => {
    expect(nvidiaDriver(join(folder, 'none'))).toBeNull();
  });
});
