'use strict';
/**
 * Builds the package into dist/: CommonJS with declarations by the TypeScript compiler, and next to each entry point
 * one for `import` with the same exports, so that both module systems share one instance.
 *
 * usage: node setup/build.js
 */
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const ROOT = path.resolve(__dirname, '..');
const DIST = path.join(ROOT, 'dist');
/** The entry points in package.json's `exports`, as named in dist/. */
const DOORS = ['index', 'layers'];

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
    DOORS.forEach(addDoorForImport);
    return 0;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function addDoorForImport(door) {
  const file = path.join(DIST, door);
  const from = `./${path.basename(door)}.js`;
  const names = Object.keys(require(`${file}.js`))
    .filter((name) => name !== '__esModule')
    .sort();
  const lines = [`import library from '${from}';`, `export const { ${names.join(', ')} } = library;`, ''];
  fs.writeFileSync(`${file}.mjs`, lines.join('\n'));
  fs.writeFileSync(`${file}.d.mts`, `export * from '${from}';\n`);
}

process.exitCode = build();
