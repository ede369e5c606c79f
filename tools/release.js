'use strict';
/**
 * Builds the package, packs it, and checks what is in the archive. `npm pack` alone packs whatever lies in dist/, or nothing.
 *
 * usage: node tools/release.js [FOLDER]   the archive goes to FOLDER, by default release/
 */
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const ROOT = path.resolve(__dirname, '..');
/** Bytes. The embedded model takes 3.6 MB of it. */
const LARGEST = 6e6;
const ALLOWED = /^(bin|checkpoints|dist|setup)\/|^(LICENSE|NOTICE\.md|README\.md|CHANGELOG\.md|package\.json)$/;
const SOURCE = /(?<!\.d)\.m?ts$|\.test\.|\.map$/;

/**
 * What is wrong with an archive, a line each.
 * @param {{ files: readonly string[], bytes: number }} archive paths in it, and its length
 * @param {object} manifest content of package.json
 * @param {string} changelog content of CHANGELOG.md
 * @returns {string[]}
 */
function faultsOf({ files, bytes }, manifest, changelog) {
  const present = new Set(files);
  const doors = [manifest.main, manifest.types, ...targetsOf(manifest.exports), ...Object.values(manifest.bin)];
  const needed = [
    ...doors,
    'dist/cli/crane.js',
    'setup/setup.js',
    'checkpoints/nano.safetensors',
    'LICENSE',
    'NOTICE.md',
  ];
  return [
    ...[...new Set(needed.map((file) => path.posix.normalize(file)))]
      .filter((file) => !present.has(file))
      .map((file) => `${file} is missing`),
    ...files.filter((file) => !ALLOWED.test(file)).map((file) => `${file} does not belong into the package`),
    ...files.filter((file) => SOURCE.test(file)).map((file) => `${file} is a source or a test`),
    ...(bytes > LARGEST ? [`it has ${bytes} bytes, ${LARGEST} are allowed`] : []),
    ...(changelog.includes(`## [${manifest.version}]`) ? [] : [`CHANGELOG.md says nothing of ${manifest.version}`]),
  ];
}

/** Every file that `exports` leads to. */
function targetsOf(exports) {
  return typeof exports === 'string' ? [exports] : Object.values(exports).flatMap(targetsOf);
}

function run(command, args, stdio) {
  const { status, stdout, error } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', stdio });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
  return stdout;
}

function release(folder) {
  run(process.execPath, [path.join('setup', 'build.js')], 'inherit');
  fs.mkdirSync(folder, { recursive: true });
  const report = run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    ['ignore', 'pipe', 'inherit'],
  );
  const parsed = JSON.parse(report);
  const { filename, size, files } = Array.isArray(parsed) ? parsed[0] : Object.values(parsed)[0];
  const archive = { files: files.map((file) => file.path), bytes: size };
  const manifest = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const faults = faultsOf(archive, manifest, fs.readFileSync(path.join(ROOT, 'CHANGELOG.md'), 'utf8'));
  const file = path.join(folder, path.basename(filename));
  if (faults.length > 0) {
    fs.rmSync(file, { force: true });
    throw new Error(`The package is not as it should be:\n${faults.map((fault) => `- ${fault}`).join('\n')}`);
  }
  process.stdout.write(`${file}: ${archive.files.length} files, ${(size / 1e6).toFixed(1)} MB\n`);
}

if (require.main === module) {
  try {
    release(path.resolve(process.argv[2] ?? path.join(ROOT, 'release')));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

module.exports = { faultsOf };
