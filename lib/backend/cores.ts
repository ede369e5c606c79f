import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * How many cores this process may use: its CPU affinity, and the CPU quota of its container where one is set (which
 * TensorFlow does not look at, so that it would start 64 threads in a container with two cores).
 */
export function usableCores(quotaFile = '/sys/fs/cgroup/cpu.max'): number {
  return Math.max(1, Math.min(availableParallelism(), quotaInCores(quotaFile)));
}

/** Reads cgroup v2's `cpu.max`: "quota period" in microseconds, or "max period". */
function quotaInCores(file: string): number {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return Infinity;
  }
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  if (quota === undefined || period === undefined || !(quota > 0) || !(period > 0)) return Infinity;
  return Math.ceil(quota / period);
}
