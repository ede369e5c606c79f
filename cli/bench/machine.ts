import * as os from 'node:os';
import type { BackendInfo } from '../../lib/backend';
import { usableCores } from '../../lib/backend/cores';
import { packageVersion } from '../../lib/files/version';
import { formatBytes } from '../../terminal/table';

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
  /** What to know before trusting the times, such as a GPU that is emulated; null if all is well. */
  readonly warning: string | null;
}

export function describeMachine({
  name,
  tensorflowVersion,
  threads,
  gpu,
  kernels,
  warning,
}: BackendInfo): MachineDescription {
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
    warning,
  };
}

/** For people: the machine, which operations compute, and what to know before trusting its times. */
export function machineText({
  cpu,
  cores,
  memoryBytes,
  backend,
  tensorflow,
  threads,
  kernels,
  warning,
}: MachineDescription): string {
  const computing = tensorflow === null ? backend : `TensorFlow ${tensorflow}`;
  const machine = `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${formatBytes(memoryBytes)}; ${computing}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
  return [
    machine,
    ...(kernels === null ? [] : [`Kernels: ${kernelsText(kernels)}`]),
    ...(warning === null ? [] : [warning]),
  ].join('\n');
}

function kernelsText(kernels: NonNullable<MachineDescription['kernels']>): string {
  return kernels.own
    ? `own attention and MLP kernels, ${kernels.instructions}`
    : `plain TensorFlow operations, about half as fast;\n  ${kernels.reason}`;
}
