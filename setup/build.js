'use strict';
/**
 * Builds the package into dist/: CommonJS with declarations by the TypeScript compiler, and beside its entry one for
 * `import` that names the same exports, so that both kinds of module share one instance.
 *
 * usage: node setup/build.js
 */
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const ROOT = path.resolve(__dirname, '..');
const DIST = path.join(ROOT, 'dist');

function build() {
  const work = path.join(ROOT, `dist.${process.pid}.tmp`);
  try {
    const compiler = require.resolve('typescript/bin/tsc');
    const compiled = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', work], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    if (compiled.status !== 0) return compiled.status ?? 1;
    fs.rmSync(DIST, { recursive: true, force: true });
    fs.renameSync(work, DIST);
    addEntryForImport(DIST);
    return 0;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function addEntryForImport(folder) {
  const names = Object.keys(require(path.join(folder, 'index.js')))
    .filter((name) => name !== '__esModule')
    .sort();
  const lines = ["import library from './index.js';", `export const { ${names.join(', ')} } = library;`, ''];
  fs.writeFileSync(path.join(folder, 'index.mjs'), lines.join('\n'));
  fs.writeFileSync(path.join(folder, 'index.d.mts'), "export * from './index.js';\n");
}

process.exitCode = build();
