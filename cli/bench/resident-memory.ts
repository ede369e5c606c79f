import * as fs from 'node:fs';

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
