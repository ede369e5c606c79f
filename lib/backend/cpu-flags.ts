import { readFileSync } from 'node:fs';

/** Features of the processor as Linux names them, such as `avx2`; null where the system has no /proc/cpuinfo. */
export function cpuFlags(): ReadonlySet<string> | null {
  try {
    const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    return flags === undefined ? null : new Set(flags.trim().split(/\s+/));
  } catch {
    return null;
  }
}
