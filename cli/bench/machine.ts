import * as os from 'node:os';
import type { BackendInfo } from '../../lib/backend';
import { usableCores } from '../../lib/backend/cores';
import { packageVersion } from '../../lib/files/version';
import { formatBytes } from '../../terminal/table';

/** What a measurement was made on; without it a time means nothing. */
export type MachineDescription = ReturnType<typeof describeMachine>;

export function describeMachine({ name, tensorflowVersion, threads, gpu, kernels, warning }: BackendInfo) {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    /** Cores that this process may use. */
    cores: usableCores(),
    memoryBytes: os.totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    crane: packageVersion(),
    backend: name,
    /** Version of the native TensorFlow library; null where another backend computes. */
    tensorflow: tensorflowVersion,
    threads,
    gpu,
    /** Whether native TensorFlow has this project's own operations; null where it does not compute, or a GPU does. */
    kernels,
    /** What to know before trusting the times, such as that a processor plays the GPU; null if all is well. */
    warning,
  };
}

/** For people: the machine, which operations compute, and what to know before trusting its times. */
export function machineText(machine: MachineDescription): string {
  const { cpu, cores, memoryBytes, backend, tensorflow, threads, kernels, warning } = machine;
  const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
  const computing = tensorflow === null ? backend : `TensorFlow ${tensorflow}`;
  return [
    `${cpu}, ${counted(cores, 'core')}, ${formatBytes(memoryBytes)}; ${computing}, ${counted(threads, 'thread')}`,
    ...(kernels === null ? [] : [`Kernels: ${kernelsText(kernels)}`]),
    ...(warning === null ? [] : [warning]),
  ].join('\n');
}

function kernelsText(kernels: NonNullable<BackendInfo['kernels']>): string {
  return kernels.own
    ? `own attention and MLP kernels, ${kernels.instructions}`
    : `plain TensorFlow operations, about half as fast;\n  ${kernels.reason}`;
}
