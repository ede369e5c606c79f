'use strict';
const os = require('node:os');
const path = require('node:path');

/**
 * The same rule as lib/files/cache-folder.ts, which cannot be loaded before the packages are installed.
 * @param {NodeJS.ProcessEnv} environment
 * @returns {string} absolute path; it may not exist yet
 */
function cacheFolder(environment) {
  if (environment.CRANE_CACHE) return path.resolve(environment.CRANE_CACHE);
  const shared = environment.XDG_CACHE_HOME
    ? path.resolve(environment.XDG_CACHE_HOME)
    : path.join(os.homedir(), '.cache');
  return path.join(shared, 'crane-tfjs');
}

module.exports = { cacheFolder };
