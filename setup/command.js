'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { endGroup, processFacts } = require('./processes');

const CHECK_EVERY_MS = 500;
/** Clock ticks of processor time between two checks that count as work rather than idling. */
const BUSY_TICKS = 2;

/**
 * Runs a command, and stops it when for `quietSeconds` it prints nothing, uses no processor time and does not make the
 * watched folder grow: a network that drops packets must not hang the set-up.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {object} options
 * @param {string} [options.cwd]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {number} options.quietSeconds
 * @param {string} [options.watchFolder]
 * @param {(pid: number) => void} [options.onStart] called with the process id
 * @param {(pid: number) => void} [options.onEnd]
 * @returns {Promise<{ ok: boolean, reason: string, output: string }>} `reason` is empty on success
 */
function runCommand(command, args, options) {
  const { quietSeconds } = options;
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    let lastSign = Date.now();
    let cpuTime = 0;
    let size = 0;
    let gaveUp = false;
    const hear = (chunk) => {
      output = (output + chunk).slice(-100_000);
      lastSign = Date.now();
    };
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);

    const watch = setInterval(() => {
      const used = processFacts(child.pid)?.cpuTime ?? 0;
      if (used - cpuTime >= BUSY_TICKS) lastSign = Date.now();
      cpuTime = used;
      if (options.watchFolder !== undefined) {
        const now = folderSize(options.watchFolder);
        if (now !== size) lastSign = Date.now();
        size = now;
      }
      if (Date.now() - lastSign > quietSeconds * 1000) {
        gaveUp = true;
        endGroup(child.pid);
      }
    }, CHECK_EVERY_MS);

    const finish = (ok, reason) => {
      clearInterval(watch);
      if (child.pid !== undefined) options.onEnd?.(child.pid);
      resolve({ ok, reason, output });
    };
    child.once('error', (error) => {
      finish(
        false,
        error.code === 'ENOENT' ? `${command} is not installed` : `${command} did not start: ${error.message}`,
      );
    });
    child.once('spawn', () => options.onStart?.(child.pid));
    child.once('close', (code, signal) => {
      if (gaveUp) finish(false, `no answer for ${quietSeconds} s`);
      else if (code === 0) finish(true, '');
      else finish(false, `${path.basename(command)} ended with ${signal ?? code}`);
    });
  });
}

/** Bytes in all files below a folder, without those that vanish meanwhile. */
function folderSize(folder) {
  let total = 0;
  let entries;
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true, recursive: true });
  } catch {
    return 0;
  }
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    try {
      total += fs.statSync(path.join(entry.parentPath ?? entry.path, entry.name)).size;
    } catch {
      // Moved between listing the folder and reading the size.
    }
  }
  return total;
}

/** The path of a program on PATH, or null. */
function findProgram(name, environment) {
  for (const folder of (environment.PATH ?? '').split(path.delimiter)) {
    const file = path.join(folder, name);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (folder !== '' && fs.statSync(file).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

module.exports = { runCommand, findProgram };
