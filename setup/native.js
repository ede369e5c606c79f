'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { BINDING, currentKey, provideBinding } = require('./binding');
const { findProgram } = require('./command');
const { findCompiler } = require('./compile');
const { ownDownload } = require('./own-download');
const { provideNativePackage } = require('./native-package');
const { writeWhole } = require('./packages');
const { provideLibrary, VERSION } = require('./tensorflow-library');

/** Raised when records of earlier set-ups can no longer be trusted. */
const FORMAT = 1;
const STATE = 'crane-native.json';
const RETRY_AFTER_MS = 24 * 60 * 60 * 1000;
const RETRY = 'npx crane setup';

/**
 * Sets up the native TensorFlow backend, or records why it is unavailable; `crane doctor` shows the record.
 * Never fails: without it the library computes on WebAssembly.
 *
 * @param {import('./context').SetupContext} context
 * @returns {Promise<{ backend: 'tensorflow' | 'wasm', reason: string | null, advice: string | null }>} `reason` says why it is
 *   not native, `advice` what to do
 */
async function setUpNative(context) {
  if (isSet(context.environment.CRANE_NO_NATIVE)) return withoutNative('CRANE_NO_NATIVE is set', null);
  let packageFolder;
  try {
    packageFolder = await provideNativePackage(context);
  } catch (error) {
    return withoutNative(
      `npm could not install @tensorflow/tfjs-node-gpu: ${error.message}`,
      `Check the network and the npm registry (npm config get registry), then run \`${RETRY}\`.`,
    );
  }
  if (packageFolder === null)
    return withoutNative(
      'the npm package @tensorflow/tfjs-node-gpu is not installed',
      `Run \`npm ci\`, then \`${RETRY}\`.`,
    );

  const earlier = readState(packageFolder);
  if (earlier !== null && stillHolds(earlier, context)) return summary(earlier);

  const steps = [];
  const files = await provide(context, packageFolder, steps);
  const source = files === null ? null : (steps.filter((step) => step.ok && step.source).pop()?.source ?? null);
  const state = {
    format: FORMAT,
    backend: files === null ? 'wasm' : 'tensorflow',
    source,
    key: source === 'wheel' ? currentKey() : null,
    steps: steps.map(({ step, ok, detail }) => ({ step, ok, detail })),
    advice: files === null ? adviceFor(steps, context) : null,
    time: new Date().toISOString(),
    circumstances: circumstancesOf(context),
    files: (files ?? []).map((file) => ({ file, size: fs.statSync(file).size })),
  };
  writeWhole(path.join(packageFolder, STATE), JSON.stringify(state, null, 2));
  return summary(state);
}

/** Tries one way after the other; each entry of `steps` records the outcome. Returns the files needed, or null. */
async function provide(context, packageFolder, steps) {
  const attempt = async (step, source, action) => {
    try {
      const { detail, ...result } = await action();
      steps.push({ step, ok: true, detail, source });
      return result;
    } catch (error) {
      steps.push({ step, ok: false, detail: error.message });
      return null;
    }
  };
  const works = async (source, files, step = 'load the native backend') =>
    (await attempt(step, source, () => verify(context, packageFolder))) === null ? null : files;

  // A binding compiled by hand; ours is recognised by its record, which is written last.
  const binding = path.join(packageFolder, BINDING);
  if (fs.existsSync(binding) && readState(packageFolder) === null && !context.retry) {
    const found = await works('found', [binding, ...linkedLibraries(packageFolder)]);
    if (found !== null) return found;
  }

  const gpu = hasNvidiaDriver();
  const compiler = await attempt('find a C++ compiler', null, () => {
    const found = findCompiler(context);
    if (!found) throw new Error('neither g++ nor c++ is installed');
    return { detail: found };
  });
  if (compiler !== null) {
    const library =
      (gpu && (await attempt('get the TensorFlow library for CUDA', 'wheel', () => provideLibrary(context, true)))) ||
      (await attempt(`get the TensorFlow ${VERSION} library`, 'wheel', () => provideLibrary(context, false)));
    for (const withKernels of library ? [true, false] : []) {
      const step = withKernels ? 'compile the binding' : 'compile the binding without our own kernels';
      const built = await attempt(step, 'wheel', () => provideBinding(context, packageFolder, library, withKernels));
      const ready = built && (await works('wheel', built.files));
      if (ready) return ready;
      if (!built?.kernels) break;
    }
  }

  // If recompiling fails, a binding that worked before this checkout changed is better than none.
  const before = readState(packageFolder);
  if (before?.backend === 'tensorflow' && filesHold(before)) {
    const kept = await works(
      before.source,
      before.files.map(({ file }) => file),
      'keep the binding of an earlier set-up',
    );
    if (kept !== null) return kept;
  }

  const downloaded = await attempt("the npm package's own download", 'download', () =>
    ownDownload(context, packageFolder, gpu),
  );
  const ready = downloaded && (await works('download', [binding]));
  if (ready) return ready;
  fs.rmSync(binding, { force: true });
  return null;
}

/** The shared objects that the package's own build links; none where it was linked differently. */
function linkedLibraries(packageFolder) {
  const folder = path.join(packageFolder, 'deps', 'lib');
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder)
    .map((name) => path.join(folder, name))
    .filter((file) => sizeOf(file) !== null);
}

async function verify(context, packageFolder) {
  const result = await context.run(process.execPath, [path.join(__dirname, 'verify-binding.js'), packageFolder], {
    env: { ...context.environment, TF_CPP_MIN_LOG_LEVEL: '2' },
    quietSeconds: 60,
  });
  if (!result.ok) {
    const line = result.output.split('\n').find((text) => /Error|error|cannot/.test(text));
    throw new Error(line?.trim() ?? result.reason);
  }
  return { detail: 'it loads and multiplies' };
}

/**
 * Whether an earlier result is still valid: the files it names exist unchanged, and a binding of ours was
 * compiled from the current sources; or, where it failed, the cause may still be present.
 */
function stillHolds(state, context) {
  if (state.format !== FORMAT || context.retry) return false;
  if (state.backend === 'tensorflow')
    return filesHold(state) && (state.source !== 'wheel' || state.key === currentKey());
  const age = Date.now() - Date.parse(state.time);
  const same = JSON.stringify(state.circumstances) === JSON.stringify(circumstancesOf(context));
  return same && age >= 0 && age < RETRY_AFTER_MS;
}

function filesHold(state) {
  return state.files.every(({ file, size }) => sizeOf(file) === size);
}

function circumstancesOf(context) {
  const programs = ['python3', 'g++', 'c++'].map((name) => findProgram(name, context.environment));
  return { platform: `${process.platform}-${process.arch}`, offline: context.offline, cache: context.cache, programs };
}

function readState(packageFolder) {
  try {
    const state = JSON.parse(fs.readFileSync(path.join(packageFolder, STATE), 'utf8'));
    return Array.isArray(state.files) && Array.isArray(state.steps) ? state : null;
  } catch {
    return null;
  }
}

function summary(state) {
  const failed = state.steps.filter((step) => !step.ok);
  if (state.backend === 'wasm') return withoutNative(failed[0]?.detail ?? 'not set up', state.advice);
  return { backend: state.backend, reason: null, advice: null };
}

function withoutNative(reason, advice) {
  return { backend: 'wasm', reason, advice };
}

function adviceFor(steps, context) {
  const said = steps
    .filter((step) => !step.ok)
    .map((step) => step.detail)
    .join(' ');
  const parts = [];
  if (/python3|pip\b.*no|g\+\+|compile/.test(said)) {
    parts.push('Install python3 with pip, g++ and make (Debian, Ubuntu: apt install python3-pip g++ make).');
  }
  if (/index|network|answer/.test(said)) {
    const folder = path.join(context.cache, 'native');
    parts.push(
      `Configure pip with a reachable package index, or put the wheel tensorflow_cpu-${VERSION}-….whl into ${folder}.`,
    );
  }
  return [...parts, `Then run \`${RETRY}\`.`].join(' ');
}

/** Only a loaded driver counts, since the CUDA wheels are large. */
function hasNvidiaDriver() {
  return fs.existsSync('/proc/driver/nvidia/version');
}

function sizeOf(file) {
  try {
    return fs.statSync(file).size;
  } catch {
    return null;
  }
}

function isSet(value) {
  return value !== undefined && value !== '' && value !== '0';
}

module.exports = { setUpNative, isSet };
