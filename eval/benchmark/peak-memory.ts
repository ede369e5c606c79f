import * as fs from 'node:fs';

const CLEAR = '/proc/self/clear_refs';
/** Written to `clear_refs`, resets the peak to current usage (man 5 proc). */
const RESET_PEAK = '5';

/**
 * Peak resident memory of this process since the watch began, in bytes, native libraries included. Linux lets the peak
 * be reset; elsewhere it is only known since the process began, so it may include an earlier model.
 */
export class PeakMemory {
  constructor() {
    try {
      fs.writeFileSync(CLEAR, RESET_PEAK);
    } catch {
      // Not Linux, or a container that forbids it: only the peak since the process began is known.
    }
  }

  get bytes(): number {
    return peakResidentBytes();
  }
}

/** Peak resident memory of this process so far, in bytes; on Linux as the kernel counts it, page by page. */
export function peakResidentBytes(statusFile = '/proc/self/status'): number {
  try {
    const [, kibibytes] = /^VmHWM:\s*(\d+) kB$/m.exec(fs.readFileSync(statusFile, 'utf8')) ?? [];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // Only Linux has this file.
  }
  return process.resourceUsage().maxRSS * 1024;
}
