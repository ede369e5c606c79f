import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Where downloads are kept between runs: weights and the native TensorFlow library. `CRANE_CACHE` names it; else
 * `crane-tfjs` in the user's cache folder (`XDG_CACHE_HOME`, or `~/.cache`). Absolute; it may not exist yet.
 * setup/cache-folder.js follows the same rule, because it runs before any package is installed.
 */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const named = environment['CRANE_CACHE'];
  if (named !== undefined && named !== '') return resolve(named);
  const shared = environment['XDG_CACHE_HOME'];
  return join(shared !== undefined && shared !== '' ? resolve(shared) : join(homedir(), '.cache'), 'crane-tfjs');
}
