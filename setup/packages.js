'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const STAMP = '.crane-packages.json';

/**
 * Installs the npm packages of the checkout unless node_modules already matches package-lock.json.
 * @param {import('./context').SetupContext} context
 * @throws {Error} saying what to do, where npm cannot install them
 */
async function setUpPackages(context) {
  const lockFile = path.join(context.root, 'package-lock.json');
  if (!fs.existsSync(lockFile)) return; // An installed package, not a checkout: its packages came with it.
  const stamp = { lock: hashOf(lockFile), platform: `${process.platform}-${process.arch}` };
  const modules = path.join(context.root, 'node_modules');
  const stampFile = path.join(modules, STAMP);
  if (isStamped(stampFile, stamp)) return;

  if (!matchesLock(lockFile, path.join(modules, '.package-lock.json'))) {
    context.log('Installing the npm packages …');
    const started = Date.now();
    const [command, ...first] = npmCommand(context.environment);
    const result = await context.run(
      command,
      [
        ...first,
        'ci',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--loglevel=http',
        '--fetch-retries=1',
        ...(context.offline ? ['--offline'] : []),
      ],
      { cwd: context.root, watchFolder: modules },
    );
    if (!result.ok) throw new Error(failure(result, context));
    context.log(`  npm packages installed in ${seconds(started)}`);
  }
  linkCommand(context.root, modules);
  writeWhole(stampFile, JSON.stringify(stamp));
}

/** npm only links the commands of dependencies; with this, `npx crane` finds the checkout's own without a prompt. */
function linkCommand(root, modules) {
  if (process.platform === 'win32') return;
  const file = path.join(modules, '.bin', 'crane');
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.rmSync(file, { force: true });
  fs.symlinkSync(path.relative(path.dirname(file), path.join(root, 'bin', 'crane.js')), file);
}

function isStamped(file, stamp) {
  try {
    const found = JSON.parse(fs.readFileSync(file, 'utf8'));
    return found.lock === stamp.lock && found.platform === stamp.platform;
  } catch {
    return false;
  }
}

/**
 * Whether npm's own record of installed packages, which it writes last, has every version of the lock file;
 * packages that were installed by hand are thus accepted.
 */
function matchesLock(lockFile, recordFile) {
  let wanted;
  let installed;
  try {
    wanted = JSON.parse(fs.readFileSync(lockFile, 'utf8')).packages;
    installed = JSON.parse(fs.readFileSync(recordFile, 'utf8')).packages;
  } catch {
    return false;
  }
  const root = wanted[''] ?? {};
  const asked = new Set(Object.keys({ ...root.dependencies, ...root.optionalDependencies, ...root.devDependencies }));
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === '') return true;
    if (installed[name] !== undefined) return installed[name].version === entry.version;
    // Builds of a package for other systems are not installed.
    return entry.optional === true && !asked.has(name.replace(/^node_modules\//, ''));
  });
}

/** The npm that called this script, otherwise the one on PATH. */
function npmCommand(environment) {
  const caller = environment.npm_execpath;
  return caller && path.basename(caller) === 'npm-cli.js' && fs.existsSync(caller)
    ? [process.execPath, caller]
    : ['npm'];
}

/** Why npm failed, and what it said of it, a line each. */
function npmFailure({ reason, output }) {
  const said = output.split('\n').filter((line) => /^npm (error|ERR!)/.test(line) && !line.includes('A complete log'));
  return [reason, ...said.slice(0, 5)];
}

function failure(result, context) {
  const said = npmFailure(result).slice(1).join('\n');
  const advice = context.offline
    ? 'Offline, npm can only use its own cache: run this once with network access.'
    : 'Check the network and the npm registry (npm config get registry), then run the same command again.';
  return `The npm packages could not be installed: ${result.reason}.\n${said}${said === '' ? '' : '\n'}${advice}`;
}

function hashOf(file) {
  return crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

/** Writes a file atomically. */
function writeWhole(file, text) {
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, text);
  fs.renameSync(temporary, file);
}

function seconds(started) {
  return `${Math.round((Date.now() - started) / 1000)} s`;
}

module.exports = { setUpPackages, npmCommand, npmFailure, writeWhole, seconds };
