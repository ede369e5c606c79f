#!/usr/bin/env node
'use strict';
/** The command `crane`: runs the sources in a checkout, and the built files in an installed package. */
const fs = require('node:fs');
const nodeModule = require('node:module');
const path = require('node:path');

const { registerTypeScript } = require('./typescript-sources');

const root = path.resolve(__dirname, '..');
const source = path.join(root, 'cli', 'crane.ts');

// Caches V8's compiled code where Node supports it, from 22.1. NODE_COMPILE_CACHE may have enabled it already.
nodeModule.enableCompileCache?.();

// A reader that closes early, such as `| head`, ends the command silently; other errors are reported.
process.stdout.on('error', (error) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(
    `Standard output cannot be written (${error.code ?? error.message}), so the results are incomplete. Check the free space at its destination.\n`,
  );
  process.exit(1);
});
// There is nowhere else to report an error.
process.stderr.on('error', () => undefined);

function load() {
  if (!fs.existsSync(source)) return require(path.join(root, 'dist', 'cli', 'crane.js'));
  try {
    registerTypeScript(root);
    // Stack traces are shown only with this option; source maps make them name lines of the sources.
    if (process.argv.includes('--verbose')) process.setSourceMapsEnabled(true);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    process.stderr.write('The npm packages of this checkout are not installed. Run `npm run setup` in it first.\n');
    process.exit(1);
  }
  return require(source);
}

load()
  .main(process.argv.slice(2))
  .then((code) => {
    process.exitCode = code;
  });
