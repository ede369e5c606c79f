'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { findProgram } = require('./command');
const { seconds } = require('./packages');
const { libraryFiles } = require('./tensorflow-library');

const BINDING = path.join('lib', 'napi-v8', 'tfjs_binding.node');
const QUIET = 'libcrane_quiet.so';
const QUIET_SOURCE = path.join(__dirname, 'native', 'quiet.cc');

/**
 * Compiles the npm package's C++ binding against a TensorFlow library, once for each pair of them, and puts it in place.
 * The result is kept beside the library in the cache folder, since npm throws node_modules away.
 *
 * @param {import('./context').SetupContext} context
 * @param {string} packageFolder of @tensorflow/tfjs-node-gpu
 * @param {{ folder: string }} library as `provideLibrary` gives it
 * @returns {Promise<{ files: string[], detail: string }>} every file that the backend needs from now on
 * @throws {Error} one line that says why it could not be compiled
 */
async function provideBinding(context, packageFolder, library) {
  const sources = fs.readdirSync(path.join(packageFolder, 'binding')).sort();
  const key = keyOf([...sources.map((name) => path.join(packageFolder, 'binding', name)), QUIET_SOURCE, __filename]);
  const built = path.join(library.folder, `binding-${key}`);
  const lock = path.join(library.folder, 'binding.lock');
  const detail = await context.locked(lock, async () => {
    if (fs.existsSync(path.join(built, 'tfjs_binding.node'))) return 'the binding was compiled before';
    const started = Date.now();
    context.log('Compiling the TensorFlow binding …');
    const note = await compile(context, packageFolder, sources, library.folder, built);
    context.log(`  compiled in ${seconds(started)}`);
    return note;
  });
  return { files: [install(packageFolder, library.folder, built), ...libraryFiles(library.folder)], detail };
}

/** Whether a compiler is there at all; asked before 274 MB are downloaded for it. */
function findCompiler(context) {
  return context.environment.CXX || findProgram('g++', context.environment) || findProgram('c++', context.environment);
}

async function compile(context, packageFolder, sources, libraryFolder, built) {
  const compiler = findCompiler(context);
  const include = path.join(libraryFolder, 'tensorflow', 'include');
  const work = `${built}.${process.pid}.tmp`;
  fs.rmSync(work, { recursive: true, force: true });
  fs.mkdirSync(work, { recursive: true });
  const common = ['-shared', '-fPIC', '-std=c++17', '-O2', `-I${include}`];
  const libraries = path.join(libraryFolder, 'tensorflow');
  try {
    const quiet = await context.run(
      compiler,
      [...common, QUIET_SOURCE, '-o', path.join(work, QUIET), '-Wl,-z,initfirst'],
      { quietSeconds: 120 },
    );
    const binding = await context.run(
      compiler,
      [
        ...common,
        '-DNAPI_VERSION=8',
        `-I${nodeApiHeaders(context.root)}`,
        `-I${path.join(packageFolder, 'binding')}`,
        ...sources.filter((name) => name.endsWith('.cc')).map((name) => path.join(packageFolder, 'binding', name)),
        ...['-o', path.join(work, 'tfjs_binding.node')],
        ...['-Xlinker', '-rpath', '-Xlinker', libraries, '-Xlinker', '-rpath', '-Xlinker', built],
        // Nothing in the binding calls into it, so the linker would leave it out.
        ...(quiet.ok ? [`-L${work}`, '-Wl,--no-as-needed', `-l:${QUIET}`] : []),
        ...[`-L${libraries}`, '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
      ],
      { quietSeconds: 120 },
    );
    if (!binding.ok) throw new Error(`the binding could not be compiled: ${compilerReason(binding)}`);
    fs.rmSync(built, { recursive: true, force: true });
    fs.renameSync(work, built);
    return quiet.ok ? 'compiled' : `compiled, but TensorFlow's log lines cannot be silenced: ${compilerReason(quiet)}`;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** The npm package carries them everywhere; Node's own are not there on some Linux distributions. */
function nodeApiHeaders(root) {
  const own = path.resolve(path.dirname(process.execPath), '..', 'include', 'node');
  const places = [...modulePaths(root).map((folder) => path.join(folder, 'node-api-headers', 'include')), own];
  const found = places.find((folder) => fs.existsSync(path.join(folder, 'node_api.h')));
  if (found === undefined) {
    throw new Error(`Node-API's headers (node_api.h) are neither in the npm package node-api-headers nor in ${own}`);
  }
  return found;
}

/** The node_modules folders from here to the root of the disk. */
function modulePaths(root) {
  const folders = [];
  for (let folder = root; ; folder = path.dirname(folder)) {
    folders.push(path.join(folder, 'node_modules'));
    if (folder === path.dirname(folder)) return folders;
  }
}

/** Copies the binding to where the package looks for it and makes the links that its own build would make. */
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

function compilerReason(result) {
  const line = result.output.split('\n').find((text) => /\b(fatal )?error\b|cannot find/.test(text));
  return line?.trim() ?? result.reason;
}

function keyOf(files) {
  const hash = crypto.createHash('sha256');
  for (const file of files) hash.update(path.basename(file)).update(fs.readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

module.exports = { provideBinding, findCompiler, BINDING };
