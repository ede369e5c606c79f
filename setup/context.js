'use strict';
const path = require('node:path');
const { cacheFolder } = require('./cache-folder');
const { runCommand } = require('./command');
const { endGroup } = require('./processes');
const { Lock } = require('./lock');

/**
 * What every step of the set-up receives: folders, environment, and how to run commands and print messages.
 */
class SetupContext {
  /** @type {Set<Lock>} */
  #locks = new Set();
  /** @type {Set<number>} */
  #children = new Set();

  /**
   * @param {object} options
   * @param {string} options.root folder of package.json
   * @param {NodeJS.ProcessEnv} options.environment
   * @param {boolean} options.offline do not use the network
   * @param {boolean} options.retry repeat native steps that failed before
   * @param {number} options.quietSeconds how long a command may show no activity
   * @param {(line: string) => void} options.log
   */
  constructor({ root, environment, offline, retry, quietSeconds, log }) {
    this.root = root;
    this.environment = environment;
    this.offline = offline;
    this.retry = retry;
    this.quietSeconds = quietSeconds;
    this.log = log;
    this.cache = cacheFolder(environment);
  }

  /**
   * Runs a command as `runCommand` does, and records it in the held locks, so that a process that takes them over can
   * end it. Several may run at the same time.
   */
  async run(command, args, options = {}) {
    return await runCommand(command, args, {
      env: this.environment,
      quietSeconds: this.quietSeconds,
      ...options,
      onStart: (pid) => {
        this.#children.add(pid);
        for (const lock of this.#locks) lock.noteChildren([...this.#children]);
      },
      onEnd: (pid) => {
        this.#children.delete(pid);
        for (const lock of this.#locks) lock.noteChildren([...this.#children]);
      },
    });
  }

  /** Runs a task that only one process at a time may run. */
  async locked(file, action) {
    const lock = await Lock.take(file, (pid) => {
      this.log(`Another set-up is running (process ${pid}); waiting for it …`);
    });
    this.#locks.add(lock);
    try {
      return await action();
    } finally {
      this.#locks.delete(lock);
      lock.release();
    }
  }

  /** Ends the running commands and releases the locks; for an interrupted set-up. */
  abandon() {
    for (const pid of this.#children) endGroup(pid);
    for (const lock of this.#locks) lock.release();
  }

  /** The lock of this checkout. It cannot be in node_modules, which npm removes. */
  get checkoutLock() {
    return path.join(this.root, '.cache', 'setup.lock');
  }
}

module.exports = { SetupContext };
