'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { bindingSources, compileBinding, ownSources } = require('./compile');
const { seconds } = require('./packages');
const { libraryFiles, VERSION } = require('./tensorflow-library');

const BINDING = path.join('lib', 'napi-v8', 'tfjs_binding.node');
const RECORD = 'compiled.json';

/**
 * Compiles the npm package's C++ binding against a TensorFlow library, once for each pair, and installs it.
 * The result is kept beside the library in the cache folder, since npm throws node_modules away.
 *
 * @param {import('./context').SetupContext} context
 * @param {string} packageFolder folder of @tensorflow/tfjs-node-gpu
 * @param {{ folder: string }} library the result of `provideLibrary`
 * @param {boolean} withKernels whether to include the checkout's own kernels
 * @returns {Promise<{ files: string[], kernels: boolean, detail: string }>} every file that the backend now
 *   needs, and whether the kernels are among them
 * @throws {Error} one line saying why it could not be compiled
 */
async function provideBinding(context, packageFolder, library, withKernels) {
  const key = keyOf([...bindingSources(packageFolder), ...ownSources()]);
  const built = path.join(library.folder, `binding-${key}${withKernels ? '' : '-plain'}`);
  const { kernels, detail } = await context.locked(path.join(library.folder, 'binding.lock'), async () => {
    const earlier = readRecord(built);
    if (earlier !== null && !(context.retry && earlier.lacks.length > 0)) {
      return { kernels: earlier.kernels, detail: ['the binding was compiled earlier', ...earlier.lacks].join('; ') };
    }
    const started = Date.now();
    context.log('Compiling the TensorFlow binding …');
    const record = await compile(context, packageFolder, library.folder, built, withKernels);
    context.log(`  compiled in ${seconds(started)}`);
    return { kernels: record.kernels, detail: ['compiled', ...record.lacks].join('; ') };
  });
  const objects = fs
    .readdirSync(built)
    .filter((name) => name.endsWith('.so'))
    .map((name) => path.join(built, name));
  return {
    files: [install(packageFolder, library.folder, built), ...objects, ...libraryFiles(library.folder)],
    kernels,
    detail,
  };
}

/** Changes when a binding compiled by another version of this checkout must be compiled again. */
function currentKey() {
  return `${VERSION}-${keyOf(ownSources())}`;
}

/** Compiles in a temporary folder and renames it, so that the final folder is always complete. */
async function compile(context, packageFolder, libraryFolder, built, withKernels) {
  // The lock is held, so nobody is using what an earlier run has left behind.
  for (const name of fs.readdirSync(libraryFolder)) {
    if (/^binding-.*\.tmp$/.test(name)) fs.rmSync(path.join(libraryFolder, name), { recursive: true, force: true });
  }
  const work = `${built}.${process.pid}.tmp`;
  fs.mkdirSync(work, { recursive: true });
  try {
    const result = await compileBinding(context, { packageFolder, libraryFolder, work, built, withKernels });
    const files = fs.readdirSync(work).map((name) => [name, fs.statSync(path.join(work, name)).size]);
    const record = { ...result, files: Object.fromEntries(files) };
    fs.writeFileSync(path.join(work, RECORD), JSON.stringify(record));
    fs.rmSync(built, { recursive: true, force: true });
    fs.renameSync(work, built);
    return record;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** The record of an earlier result; null where there is none, or it is incomplete. */
function readRecord(built) {
  try {
    const record = JSON.parse(fs.readFileSync(path.join(built, RECORD), 'utf8'));
    const whole = Object.entries(record.files).every(
      ([name, size]) => fs.statSync(path.join(built, name)).size === size,
    );
    return whole ? record : null;
  } catch {
    return null;
  }
}

/** Copies the binding to where the package looks for it, and makes the links that the package's build would make. */
function install(packageFolder, libraryFolder, built) {
  const target = path.join(packageFolder, BINDING);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const temporary = `${target}.${process.pid}.tmp`;
  fs.copyFileSync(path.join(built, 'tfjs_binding.node'), temporary);
  fs.renameSync(temporary, target);

  const libraries = path.join(libraryFolder, 'tensorflow');
  const deps = path.join(packageFolder, 'deps');
  fs.mkdirSync(path.join(deps, 'lib'), { recursive: true });
  link(path.join(libraries, 'include'), path.join(deps, 'include'));
  for (const [name, to] of [
    ['libtensorflow.so', 'libtensorflow_cc.so.2'],
    ['libtensorflow_cc.so.2', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
    ['libtensorflow_framework.so.2', 'libtensorflow_framework.so.2'],
  ]) {
    link(path.join(libraries, to), path.join(deps, 'lib', name));
  }
  return target;
}

function link(to, file) {
  fs.rmSync(file, { recursive: true, force: true });
  fs.symlinkSync(to, file);
}

function keyOf(files) {
  const hash = crypto.createHash('sha256');
  for (const file of files) hash.update(path.basename(file)).update(fs.readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

module.exports = { provideBinding, currentKey, BINDING };
