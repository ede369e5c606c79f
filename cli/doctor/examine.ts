import * as tf from '@tensorflow/tfjs';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { prepareBackend, type BackendChoice, type BackendInfo } from '../../lib/backend';
import { cpuFlags } from '../../lib/backend/cpu-flags';
import { NATIVE_PACKAGE } from '../../lib/backend/native';
import { nvidiaDriver, type NvidiaDriver } from '../../lib/backend/nvidia';
import { readSetupState, type SetupState } from '../../lib/backend/setup-state';
import { cacheFolder } from '../../lib/files/cache-folder';
import { packageVersion } from '../../lib/files/version';
import { registeredWeights } from '../../lib/weights/registry';
import { cachedWeightsPath, isCached, weightsFolder } from '../../lib/weights/weight-cache';
import { surveyBackends, type BackendPresence } from './survey';

/** One file that `crane weights fetch` knows. */
export interface WeightsPresence {
  readonly name: string;
  readonly kind: string;
  readonly file: string;
  readonly present: boolean;
  /** Length in bytes; null where unknown. */
  readonly bytes: number | null;
}

/** Everything `crane doctor` shows; `--json` prints it unchanged. */
export interface Examination {
  readonly backend: BackendInfo;
  /** Every backend, whether it works, and which one `auto` chooses. */
  readonly backends: readonly BackendPresence[];
  readonly setup: SetupState | null;
  readonly cpu: { readonly model: string; readonly cores: number; readonly features: readonly string[] | null };
  /** The loaded NVIDIA driver, null without one; `backend.gpu` says whether a GPU is used. */
  readonly nvidiaDriver: NvidiaDriver | null;
  /** Bytes. */
  readonly memory: { readonly total: number; readonly available: number };
  readonly versions: Readonly<Record<'crane-tfjs' | 'node' | 'tfjs' | 'sharp' | 'libvips', string>>;
  readonly platform: string;
  readonly cache: { readonly folder: string; readonly exists: boolean; readonly bytes: number };
  readonly weights: { readonly folder: string; readonly files: readonly WeightsPresence[] };
}

/** Instruction sets that TensorFlow and XNNPACK use, as named in /proc/cpuinfo. */
const CPU_FEATURES = [
  'sse4_2',
  'avx',
  'avx2',
  'fma',
  'f16c',
  'avx512f',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_fp16',
  'avx_vnni',
  'amx_tile',
  'amx_bf16',
  'asimd',
  'sve',
];

/**
 * Examines everything. It starts all backends for this, and the chosen one last, which stays current.
 *
 * @throws BackendError where an explicitly chosen backend is not available.
 */
export async function examine(choice: BackendChoice, verbose: boolean): Promise<Examination> {
  const backends = await surveyBackends(verbose);
  const backend = await prepareBackend(choice, { verbose });
  const cache = cacheFolder();
  return {
    backend,
    backends,
    setup: readSetupState(NATIVE_PACKAGE),
    cpu: { model: os.cpus()[0]?.model.trim() ?? 'unknown', cores: os.availableParallelism(), features: cpuFeatures() },
    nvidiaDriver: nvidiaDriver(),
    memory: { total: os.totalmem(), available: availableMemory() },
    versions: {
      'crane-tfjs': packageVersion(),
      node: process.versions.node,
      tfjs: tf.version.tfjs,
      sharp: sharp.versions.sharp ?? 'unknown',
      libvips: sharp.versions.vips,
    },
    platform: `${process.platform} ${process.arch}, ${os.release()}`,
    cache: { folder: cache, exists: existsSync(cache), bytes: sizeOfFolder(cache) },
    weights: {
      folder: weightsFolder(),
      files: registeredWeights.map((entry) => ({
        name: entry.name,
        kind: entry.kind,
        file: cachedWeightsPath(entry),
        present: isCached(entry),
        bytes: entry.bytes,
      })),
    },
  };
}

function cpuFeatures(): string[] | null {
  const flags = cpuFlags();
  return flags && CPU_FEATURES.filter((feature) => flags.has(feature));
}

/** Memory available without swapping; `os.freemem()` does not count what the file cache would give back. */
function availableMemory(): number {
  try {
    const kilobytes = /^MemAvailable:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kilobytes === undefined ? os.freemem() : Number(kilobytes) * 1024;
  } catch {
    return os.freemem();
  }
}

function sizeOfFolder(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (total, entry) => total + (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
}
