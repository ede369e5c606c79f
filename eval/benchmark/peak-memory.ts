import * as fs from 'node:fs';

const STATUS = '/proc/self/status';
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
    return peakOfStatus() ?? process.resourceUsage().maxRSS * 1024;
  }
}

function peakOfStatus(): number | undefined {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync(STATUS, 'utf8'));
    return found ? Number(found[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}
