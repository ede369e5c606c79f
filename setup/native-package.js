'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { npmCommand, npmFailure, seconds } = require('./packages');

const PACKAGE = '@tensorflow/tfjs-node-gpu';
const HEADERS = 'node-api-headers';

/**
 * The npm package whose binding is the native backend. npm leaves it out of an installed crane-tfjs where its install script
 * fails, as on every network that does not reach the script's download; then it is installed once more, without that script, into
 * the folder of crane-tfjs, where it finds the same TensorFlow.js.
 *
 * @param {import('./context').SetupContext} context
 * @returns {Promise<string | null>} its folder; null in a checkout, whose packages npm has installed as they are to be
 * @throws {Error} one line that says why npm could not install it
 */
async function provideNativePackage(context) {
  const found = findNativePackage(context.root);
  if (found !== null || fs.existsSync(path.join(context.root, 'package-lock.json'))) return found;
  const { optionalDependencies } = JSON.parse(fs.readFileSync(path.join(context.root, 'package.json'), 'utf8'));
  const wanted = [PACKAGE, HEADERS].map((name) => `${name}@${optionalDependencies[name]}`);
  const work = path.join(context.root, '.cache', `npm-${process.pid}.tmp`);
  fs.mkdirSync(work, { recursive: true });
  try {
    fs.writeFileSync(path.join(work, 'package.json'), '{ "private": true }');
    context.log(`Installing the npm package ${PACKAGE} …`);
    const started = Date.now();
    const [command, ...first] = npmCommand(context.environment);
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=http', '--fetch-retries=1'];
    const offline = context.offline ? ['--offline'] : [];
    const result = await context.run(command, [...first, 'install', ...options, ...offline, ...wanted], {
      cwd: work,
      watchFolder: work,
    });
    if (!result.ok) throw new Error(npmFailure(result).join(' '));
    moveIn(path.join(work, 'node_modules'), path.join(context.root, 'node_modules'));
    context.log(`  installed in ${seconds(started)}`);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
  return findNativePackage(context.root);
}

/**
 * Moves the package and the headers beside it, and what the package needs into a node_modules of its own. TensorFlow.js is left
 * out: a second copy of it would know nothing of the first one's tensors.
 */
function moveIn(from, to) {
  const target = path.join(to, PACKAGE);
  const own = path.join(from, PACKAGE, 'node_modules');
  fs.rmSync(target, { recursive: true, force: true });
  for (const name of packagesIn(from)) {
    if (name === PACKAGE || name === HEADERS || name.startsWith('@tensorflow/')) continue;
    move(path.join(from, name), path.join(own, name));
  }
  for (const name of [HEADERS, PACKAGE]) move(path.join(from, name), path.join(to, name));
}

function move(from, to) {
  if (fs.existsSync(to)) return;
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.renameSync(from, to);
}

function packagesIn(modules) {
  return fs
    .readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? fs.readdirSync(path.join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
    );
}

/** Where Node finds it from a folder, or null. */
function findNativePackage(root) {
  for (let folder = root; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'node_modules', ...PACKAGE.split('/'));
    if (fs.existsSync(path.join(candidate, 'package.json'))) return fs.realpathSync(candidate);
    if (folder === path.dirname(folder)) return null;
  }
}

module.exports = { provideNativePackage };
