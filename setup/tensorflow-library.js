'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { findProgram } = require('./command');
const { seconds, writeWhole } = require('./packages');

const VERSION = '2.21.0';
/** Any Python can fetch the wheel for this version: only its shared objects and headers are used. */
const WHEEL_PYTHON = { version: '3.12', abi: 'cp312' };
const GLIBC_PLATFORM = { x64: 'manylinux_2_27_x86_64', arm64: 'manylinux_2_27_aarch64' };
/** Messages of pip and the system for a network that does not answer. */
const NETWORK_TROUBLE =
  /timed out|ConnectTimeout|NewConnectionError|NameResolution|Temporary failure|Network is unreachable|Connection refused|ConnectionError|ProxyError/;

/**
 * The TensorFlow library and its headers, from a wheel downloaded by pip, in the cache folder; downloaded once for
 * all checkouts.
 *
 * @param {import('./context').SetupContext} context
 * @param {boolean} gpu whether an NVIDIA driver answers
 * @returns {Promise<{ folder: string, flavour: string, detail: string }>} `folder` holds `tensorflow/`
 * @throws {Error} one line saying why it is unavailable
 */
async function provideLibrary(context, gpu) {
  if (process.platform !== 'linux' || GLIBC_PLATFORM[process.arch] === undefined) {
    throw new Error(`there is no TensorFlow wheel with a C++ library for ${process.platform} ${process.arch}`);
  }
  // On arm64 the wheel `tensorflow` is the one without CUDA.
  const flavour = gpu ? 'tensorflow' : process.arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
  const native = path.join(context.cache, 'native');
  const folder = path.join(native, `${flavour}-${VERSION}-${process.arch}${gpu ? '-cuda' : ''}`);
  return await context.locked(path.join(native, 'library.lock'), async () => {
    if (isComplete(folder)) return { folder, flavour, detail: `${flavour} ${VERSION} was in the cache folder` };
    removeRemains(native);
    const work = path.join(native, `work-${process.pid}`);
    try {
      fs.mkdirSync(work, { recursive: true });
      const python = requireProgram('python3', context);
      const wheel =
        findLocalWheel(native, flavour) ??
        (await download(context, python, `${flavour}==${VERSION}`, work, gpu ? 'and CUDA, 5.3 GB unpacked' : '274 MB'));
      const unpacked = path.join(work, 'unpacked');
      await unpack(context, python, wheel, unpacked);
      if (gpu) await addCudaLibraries(context, python, wheel, work, unpacked);
      writeWhole(
        path.join(unpacked, 'complete.json'),
        JSON.stringify({ wheel: path.basename(wheel), files: sizesOf(unpacked) }),
      );
      fs.rmSync(folder, { recursive: true, force: true });
      fs.renameSync(unpacked, folder);
      return { folder, flavour, detail: `${flavour} ${VERSION} from ${path.basename(wheel)}` };
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  });
}

function libraryFiles(folder) {
  return ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'].map((name) => path.join(folder, 'tensorflow', name));
}

/** The record is written last, and the folder renamed after that, so this only detects later damage. */
function isComplete(folder) {
  try {
    const record = JSON.parse(fs.readFileSync(path.join(folder, 'complete.json'), 'utf8'));
    return libraryFiles(folder).every((file) => fs.statSync(file).size === record.files[path.basename(file)]);
  } catch {
    return false;
  }
}

function sizesOf(folder) {
  return Object.fromEntries(libraryFiles(folder).map((file) => [path.basename(file), fs.statSync(file).size]));
}

/** Removes work folders of killed set-ups; the lock is held, so nobody is using them. */
function removeRemains(native) {
  fs.mkdirSync(native, { recursive: true });
  for (const name of fs.readdirSync(native)) {
    if (name.startsWith('work-')) fs.rmSync(path.join(native, name), { recursive: true, force: true });
  }
}

/** A wheel that was copied here by hand. */
function findLocalWheel(native, flavour) {
  const prefix = `${flavour.replace('-', '_')}-${VERSION}-`;
  const name = fs.readdirSync(native).find((entry) => entry.startsWith(prefix) && entry.endsWith('.whl'));
  return name === undefined ? null : path.join(native, name);
}

function requireProgram(name, context) {
  const found = findProgram(name, context.environment);
  if (found === null) throw new Error(`${name} is not installed`);
  return found;
}

/**
 * Downloads one wheel with pip: first for this Python version, then for one that is known to have a wheel.
 * @returns {Promise<string>} the wheel's path
 */
async function download(context, python, requirement, work, size) {
  if (context.offline) throw new Error(`${requirement} is not in the cache folder, and network access is turned off`);
  await requirePip(context, python);
  const folder = path.join(work, 'wheels', requirement.replace(/[^\w.-]+/g, '_'));
  const temporary = path.join(work, 'pip');
  fs.mkdirSync(folder, { recursive: true });
  fs.mkdirSync(temporary, { recursive: true });
  context.log(`Downloading ${requirement.replace('==', ' ')}${size === undefined ? '' : ` (${size})`} …`);
  const started = Date.now();
  const common = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--only-binary=:all:',
    '--disable-pip-version-check',
    '--no-input',
  ];
  const limits = ['--timeout', '10', '--retries', '1', '--dest', folder];
  const { version, abi } = WHEEL_PYTHON;
  const forAnyPython = [
    '--python-version',
    version,
    '--implementation',
    'cp',
    '--abi',
    abi,
    '--platform',
    GLIBC_PLATFORM[process.arch],
  ];
  let reason = '';
  for (const which of [[], forAnyPython]) {
    const result = await context.run(python, [...common, ...limits, ...which, requirement], {
      env: { ...context.environment, TMPDIR: temporary },
      watchFolder: work,
    });
    const wheel = fs.readdirSync(folder).find((name) => name.endsWith('.whl'));
    if (result.ok && wheel !== undefined) {
      context.log(`  downloaded in ${seconds(started)}`);
      return path.join(folder, wheel);
    }
    reason = pipReason(result);
    if (NETWORK_TROUBLE.test(result.output) || reason.startsWith('no answer')) break;
  }
  throw new Error(`pip could not download ${requirement}: ${reason}`);
}

async function requirePip(context, python) {
  const result = await context.run(python, ['-m', 'pip', '--version']);
  if (!result.ok) throw new Error('python3 has no pip');
}

function pipReason(result) {
  if (result.reason.startsWith('no answer')) return result.reason;
  if (NETWORK_TROUBLE.test(result.output)) return 'the package index does not answer';
  const line = result.output
    .split('\n')
    .reverse()
    .find((text) => text.startsWith('ERROR:'));
  return line === undefined ? result.reason : line.slice('ERROR:'.length).trim();
}

async function unpack(context, python, wheel, folder) {
  const script = path.join(__dirname, 'native', 'extract_wheel.py');
  const result = await context.run(python, [script, wheel, folder], { watchFolder: folder, quietSeconds: 60 });
  if (!result.ok) {
    const lines = result.output.trim().split('\n');
    throw new Error(`${path.basename(wheel)} could not be unpacked: ${lines[lines.length - 1] || result.reason}`);
  }
}

/**
 * The CUDA libraries that `tensorflow[and-cuda]` requires, put beside the TensorFlow folder, where its libraries look
 * for them. Tested without a GPU: they download, compile and load, up to the first call to NVIDIA's driver.
 */
async function addCudaLibraries(context, python, wheel, work, unpacked) {
  const listing = await context.run(python, [path.join(__dirname, 'native', 'list_cuda_wheels.py'), wheel]);
  if (!listing.ok) throw new Error(`the list of CUDA libraries could not be read: ${listing.reason}`);
  for (const requirement of listing.output.trim().split('\n').filter(Boolean)) {
    const part = await download(context, python, requirement, work);
    await unpack(context, python, part, unpacked);
    fs.rmSync(part, { force: true });
  }
}

module.exports = { provideLibrary, libraryFiles, VERSION };
