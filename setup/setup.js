'use strict';
/**
 * Sets up everything that the commands of this checkout need: npm packages and the native TensorFlow library. Plain
 * JavaScript without dependencies, because it runs before any package is installed. Completed steps are not repeated,
 * and interrupted ones are repaired.
 *
 * usage: node setup/setup.js [--offline] [--retry]
 *   --offline  do not use the network (or CRANE_OFFLINE=1)
 *   --retry    try to set up native TensorFlow again after it has failed
 */
const os = require('node:os');
const path = require('node:path');
const { SetupContext } = require('./context');
const { isSet, setUpNative } = require('./native');
const { setUpPackages } = require('./packages');

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * @param {object} [options]
 * @param {string} [options.root] folder of package.json
 * @param {NodeJS.ProcessEnv} [options.environment]
 * @param {boolean} [options.offline]
 * @param {boolean} [options.retry]
 * @param {number} [options.quietSeconds] how long a command may show no activity before it is stopped; default 10
 * @param {(line: string) => void} [options.log]
 * @returns {Promise<'tensorflow' | 'wasm'>} the backend that is set up
 * @throws {Error} where the npm packages cannot be installed; its message says what to do
 */
async function setUp(options = {}) {
  const environment = options.environment ?? process.env;
  const context = new SetupContext({
    root: options.root ?? path.resolve(__dirname, '..'),
    environment,
    offline: options.offline ?? isSet(environment.CRANE_OFFLINE),
    retry: options.retry ?? false,
    quietSeconds: options.quietSeconds ?? 10,
    log: options.log ?? ((line) => process.stderr.write(`${line}\n`)),
  });
  const stop = (signal) => {
    context.abandon();
    process.exit(128 + os.constants.signals[signal]);
  };
  for (const signal of SIGNALS) process.once(signal, stop);
  try {
    return await context.locked(context.checkoutLock, async () => {
      await setUpPackages(context);
      const { backend, reason, advice } = await setUpNative(context);
      if (backend === 'wasm') {
        context.log(
          `Native TensorFlow is not set up (${reason}): computing on WebAssembly, 5 to 10 times slower.${advice === null ? '' : ` ${advice}`}`,
        );
      }
      return backend;
    });
  } finally {
    for (const signal of SIGNALS) process.removeListener(signal, stop);
  }
}

async function main(args) {
  const unknown = args.filter((arg) => !['--offline', '--retry'].includes(arg));
  if (unknown.length > 0) {
    process.stderr.write(`Unknown option: ${unknown.join(' ')}. usage: node setup/setup.js [--offline] [--retry]\n`);
    return 2;
  }
  const environment = args.includes('--offline') ? { ...process.env, CRANE_OFFLINE: '1' } : process.env;
  try {
    const backend = await setUp({ environment, retry: args.includes('--retry') });
    if (backend === 'tensorflow') process.stderr.write('Set up: native TensorFlow.\n');
    return 0;
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

if (require.main === module) {
  main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}

module.exports = { setUp };
