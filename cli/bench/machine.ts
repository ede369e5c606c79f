import * as os from 'node:os';
import type { BackendInfo } from '../../lib/backend';
import { usableCores } from '../../lib/backend/cores';
import { packageVersion } from '../../lib/version';

/** What a measurement was made on; without it a time means nothing. */
export interface MachineDescription {
  readonly cpu: string;
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  readonly crane: string;
  readonly backend: string;
  /** Version of the native TensorFlow library; null where another backend computes. */
  readonly tensorflow: string | null;
  readonly threads: number;
  readonly gpu: boolean;
  /** Whether native TensorFlow has this project's own operations; null where it does not compute, or a GPU does. */
  readonly kernels: BackendInfo['kernels'];
}

export function describeMachine({ name, tensorflowVersion, threads, gpu, kernels }: BackendInfo): MachineDescription {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: usableCores(),
    memoryBytes: os.totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    crane: packageVersion(),
    backend: name,
    tensorflow: tensorflowVersion,
    threads,
    gpu,
    kernels,
  };
}
