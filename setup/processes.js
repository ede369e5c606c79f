'use strict';
const fs = require('node:fs');

/**
 * What /proc says of a process: when it was started, in clock ticks since boot, and the processor time it has used, in
 * clock ticks. Null where the process is gone or the system has no /proc.
 * @param {number} pid
 * @returns {{ startTime: number, cpuTime: number } | null}
 */
function processFacts(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses, which may hold blanks and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z'
      ? null
      : { startTime: Number(fields[19]), cpuTime: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return null;
  }
}

/** A number for a process that outlives its reuse: the process id with the time of its start. */
function identify(pid) {
  return { pid, startTime: processFacts(pid)?.startTime ?? null };
}

/** @param {{ pid: number, startTime: number | null } | null | undefined} identity */
function isAlive(identity) {
  if (!identity) return false;
  if (identity.startTime !== null) return processFacts(identity.pid)?.startTime === identity.startTime;
  try {
    process.kill(identity.pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Ends a child that was started as the leader of its own process group, with all that it has started. */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

module.exports = { processFacts, identify, isAlive, endGroup };
