import * as fs from 'node:fs';

const CLEAR = '/proc/self/clear_refs';
/** Written to `clear_refs`, sets the peak back to what is in use (man 5 proc). */
const RESET_PEAK = '5';

/**
 * The most memory that this process held since the watch began, in bytes: resident, native libraries included. Linux keeps
 * the peak itself; elsewhere it is only known since the process began, and then what an earlier model took may count too.
 */
export class PeakMemory {
  constructor() {
    try {
      fs.writeFileSync(CLEAR, RESET_PEAK);
    } catch {
      // Not Linux, or a container that forbids it: the peak since the start is what can be said.
    }
  }

  get bytes(): number {
    return peakResidentBytes();
  }
}

/** The most memory that this process has had resident so far, in bytes; on Linux as the kernel counts it, page by page. */
export function peakResidentBytes(statusFile = '/proc/self/status'): number {
  try {
    const [, kibibytes] = /^VmHWM:\s*(\d+) kB$/m.exec(fs.readFileSync(statusFile, 'utf8')) ?? [];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // Elsewhere there is no such file.
  }
  return process.resourceUsage().maxRSS * 1024;
}
