'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');
const { endGroup, identify, isAlive } = require('./processes');

/**
 * A file naming the process that is setting up. A lock left behind by a killed process is taken over, and the commands
 * that it was running are ended first, so that no two commands write to the same folder.
 */
class Lock {
  #file;
  #record;

  constructor(file, record) {
    this.#file = file;
    this.#record = record;
  }

  /**
   * Waits for the lock and takes it.
   * @param {string} file
   * @param {(pid: number) => void} onWait called once if another process holds it
   * @returns {Promise<Lock>}
   */
  static async take(file, onWait) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const record = { holder: identify(process.pid), children: [] };
    let told = false;
    while (!writeNew(file, record)) {
      const found = read(file);
      if (found !== null && isAlive(found.holder)) {
        if (!told) onWait(found.holder.pid);
        told = true;
        await pause(200);
      } else {
        takeAway(file, found);
        await pause(Math.random() * 50);
      }
    }
    return new Lock(file, record);
  }

  /** Records the commands that run under the lock. */
  noteChildren(pids) {
    this.#record.children = pids.map(identify);
    const temporary = `${this.#file}.${process.pid}.tmp`;
    fs.writeFileSync(temporary, JSON.stringify(this.#record));
    fs.renameSync(temporary, this.#file);
  }

  release() {
    fs.rmSync(this.#file, { force: true });
  }
}

/** Creates the file with its content in one step, so that nobody reads an incomplete record. */
function writeNew(file, record) {
  const temporary = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
  fs.writeFileSync(temporary, JSON.stringify(record));
  try {
    fs.linkSync(temporary, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

function read(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/**
 * Removes a lock whose holder is gone. If two processes try, one moves the file away and the other finds it missing.
 */
function takeAway(file, expected) {
  const aside = `${file}.${process.pid}.stale`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const moved = read(aside);
  if (moved !== null && isAlive(moved.holder)) {
    // Another process took the lock between the check and the move: give it back.
    try {
      fs.linkSync(aside, file);
    } catch {
      // A third process was quicker; the two wait for each other at the next check.
    }
  } else {
    for (const child of (moved ?? expected)?.children ?? []) if (isAlive(child)) endGroup(child.pid);
  }
  fs.rmSync(aside, { force: true });
}

module.exports = { Lock };
