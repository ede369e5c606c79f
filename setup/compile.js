'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { findProgram } = require('./command');

const NATIVE = path.join(__dirname, 'native');
const QUIET = { source: path.join(NATIVE, 'quiet.cc'), object: 'libcrane_quiet.so' };
const KERNELS = { source: path.join(NATIVE, 'kernels.cc'), object: 'libcrane_kernels.so' };
const LIBRARIES = ['-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'];
/**
 * The kernels choose their instruction sets at run time, so that the object fits every processor.
 * IS_SLIM_BUILD leaves one function out of tensorflow/c/kernels.h, whose header is not in the wheel.
 */
const KERNEL_FLAGS = ['-O3', '-fno-math-errno', '-ffp-contract=fast', '-pthread', '-DIS_SLIM_BUILD', '-Wno-psabi'];

/** The C++ compiler, if any; checked before downloading 274 MB to compile against. */
function findCompiler(context) {
  return context.environment.CXX || findProgram('g++', context.environment) || findProgram('c++', context.environment);
}

/** Everything in this folder that a compiled binding depends on. */
function ownSources() {
  const names = fs
    .readdirSync(NATIVE)
    .filter((name) => !name.endsWith('.py'))
    .sort();
  return [...names.map((name) => path.join(NATIVE, name)), __filename];
}

/**
 * Compiles the npm package's C++ binding and the objects that it loads. Optional parts may fail.
 *
 * @param {import('./context').SetupContext} context
 * @param {object} options
 * @param {string} options.packageFolder folder of @tensorflow/tfjs-node-gpu
 * @param {string} options.libraryFolder holds `tensorflow/`
 * @param {string} options.work folder to write everything to
 * @param {string} options.built final location of that folder
 * @param {boolean} options.withKernels
 * @returns {Promise<{ kernels: boolean, lacks: string[] }>} `lacks` lists what is missing from the result, and why
 * @throws {Error} one line saying why the binding could not be compiled
 */
async function compileBinding(context, { packageFolder, libraryFolder, work, built, withKernels }) {
  const compiler = findCompiler(context);
  const libraries = path.join(libraryFolder, 'tensorflow');
  const headers = nodeApiHeaders(context.root);
  const common = ['-fPIC', '-std=c++17', '-O2', `-I${path.join(libraries, 'include')}`];
  const run = (...args) => context.run(compiler, [...common, ...args.flat(2)], { quietSeconds: 120 });
  // TensorFlow exports 446,000 symbols: 5 s for the usual linker, 1.5 s for gold, which is not always installed.
  const link = async (...args) => {
    const quick = await run('-shared', '-fuse-ld=gold', ...args);
    return quick.ok ? quick : await run('-shared', ...args);
  };
  const output = (name) => ['-o', path.join(work, name)];
  const runPath = (folder) => ['-Xlinker', '-rpath', '-Xlinker', folder];

  const compileQuiet = () => run('-shared', QUIET.source, output(QUIET.object), '-Wl,-z,initfirst');
  const compileKernels = async () => {
    const compiled = await run('-c', KERNEL_FLAGS, KERNELS.source, output(objectOf(KERNELS.source)));
    if (!compiled.ok) return compiled;
    // With -z defs, a function missing from this TensorFlow is an error at link time, not when the binding is loaded.
    const flags = ['-pthread', '-Wl,-z,defs', '-Wl,--no-as-needed', ...runPath(libraries), `-L${libraries}`];
    return await link(path.join(work, objectOf(KERNELS.source)), output(KERNELS.object), flags, LIBRARIES);
  };
  const compilePart = (source) =>
    run('-c', '-DNAPI_VERSION=8', `-I${headers}`, `-I${path.dirname(source)}`, source, output(objectOf(source)));

  const sources = bindingSources(packageFolder).filter((file) => file.endsWith('.cc'));
  const wanted = withKernels && fs.existsSync(KERNELS.source);
  const [quiet, kernels, ...parts] = await Promise.all([
    compileQuiet(),
    wanted ? compileKernels() : null,
    ...sources.map(compilePart),
  ]);

  const own = [
    [QUIET, quiet],
    [KERNELS, kernels],
  ]
    .filter(([, result]) => result?.ok)
    .map(([{ object }]) => `-l:${object}`);
  const failed = parts.find((part) => !part.ok);
  const binding =
    failed ??
    (await link(
      sources.map((source) => path.join(work, objectOf(source))),
      output('tfjs_binding.node'),
      [runPath(libraries), runPath(built)],
      // The binding does not call these, so the linker would leave them out.
      own.length > 0 ? [`-L${work}`, '-Wl,--no-as-needed', ...own] : [],
      [`-L${libraries}`, ...LIBRARIES],
    ));
  if (!binding.ok) throw new Error(`the binding could not be compiled: ${compilerReason(binding)}`);
  for (const name of fs.readdirSync(work)) if (name.endsWith('.o')) fs.rmSync(path.join(work, name));
  return {
    kernels: kernels?.ok === true,
    lacks: [
      ...(quiet.ok ? [] : [`TensorFlow's log lines cannot be silenced: ${compilerReason(quiet)}`]),
      ...(kernels === null || kernels.ok ? [] : [`its own kernels are left out: ${compilerReason(kernels)}`]),
    ],
  };
}

/** The C++ files of the npm package's binding. */
function bindingSources(packageFolder) {
  const folder = path.join(packageFolder, 'binding');
  return fs
    .readdirSync(folder)
    .sort()
    .map((name) => path.join(folder, name));
}

function objectOf(source) {
  return `${path.basename(source)}.o`;
}

/** The npm package always has them; some Linux distributions leave out Node's own. */
function nodeApiHeaders(root) {
  const own = path.resolve(path.dirname(process.execPath), '..', 'include', 'node');
  const places = [...modulePaths(root).map((folder) => path.join(folder, 'node-api-headers', 'include')), own];
  const found = places.find((folder) => fs.existsSync(path.join(folder, 'node_api.h')));
  if (found === undefined) {
    throw new Error(
      `Node-API's headers (node_api.h) are missing from both the npm package node-api-headers and ${own}`,
    );
  }
  return found;
}

/** The node_modules folders from here up to the root of the disk. */
function modulePaths(root) {
  const folders = [];
  for (let folder = root; ; folder = path.dirname(folder)) {
    folders.push(path.join(folder, 'node_modules'));
    if (folder === path.dirname(folder)) return folders;
  }
}

function compilerReason(result) {
  const line = result.output
    .split('\n')
    .find((text) => /\b(fatal )?error\b|cannot find|undefined reference/.test(text));
  return line?.trim() ?? result.reason;
}

module.exports = { bindingSources, compileBinding, findCompiler, ownSources };
