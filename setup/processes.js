'use strict';
const fs = require('node:fs');

/**
 * What /proc says about a process: its start time, in clock ticks since boot, and the processor time it has used, in
 * clock ticks. Null where the process is gone or the system has no /proc.
 * @param {number} pid
 * @returns {{ startTime: number, cpuTime: number } | null}
 */
function processFacts(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses, which may itself contain blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z'
      ? null
      : { startTime: Number(fields[19]), cpuTime: Number(fields[11]) + Number(fields[12]) };
  } catch {
    return null;
  }
}

/** Identifies a process even if its id is reused: the process id with its start time. */
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

/** Ends a child that was started as a process group leader, with all its descendants. */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has already ended.
  }
}

module.exports = { processFacts, identify, isAlive, endGroup };
