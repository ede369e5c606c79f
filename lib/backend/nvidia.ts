import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface NvidiaDriver {
  /** Such as `550.54.15`; null where the driver words it in another way. */
  readonly version: string | null;
  /** Models, one entry per GPU. */
  readonly gpus: readonly string[];
}

/** The NVIDIA driver that Linux has loaded, from its files under `/proc`; null without one. */
export function nvidiaDriver(folder = '/proc/driver/nvidia'): NvidiaDriver | null {
  try {
    const text = readFileSync(join(folder, 'version'), 'utf8');
    return {
      version: /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(text)?.[1] ?? null,
      gpus: models(join(folder, 'gpus')),
    };
  } catch {
    return null;
  }
}

function models(folder: string): string[] {
  try {
    return readdirSync(folder).map(
      (gpu) =>
        /^Model:\s*(.+)$/m.exec(readFileSync(join(folder, gpu, 'information'), 'utf8'))?.[1]?.trim() ?? 'NVIDIA GPU',
    );
  } catch {
    return [];
  }
}
