'use strict';
const path = require('node:path');
const { cacheFolder } = require('./cache-folder');
const { runCommand } = require('./command');
const { endGroup } = require('./processes');
const { Lock } = require('./lock');

/**
 * What every step of the set-up is given: where, with which environment, how to run commands and say things.
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
   * @param {boolean} options.offline use no network at all
   * @param {boolean} options.retry try native steps again that have failed before
   * @param {number} options.quietSeconds how long a command may give no sign of life
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
   * Runs a command as `runCommand` does, noted in the locks held, so that whoever takes them over can end it. Several may
   * run at the same time.
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

  /** Does something that only one process at a time may do. */
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

  /** Ends the running commands and gives the locks back; for a set-up that is interrupted. */
  abandon() {
    for (const pid of this.#children) endGroup(pid);
    for (const lock of this.#locks) lock.release();
  }

  /** The lock of this checkout. It cannot lie in node_modules, which npm removes. */
  get checkoutLock() {
    return path.join(this.root, '.cache', 'setup.lock');
  }
}

module.exports = { SetupContext };
