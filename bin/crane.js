#!/usr/bin/env node
'use strict';
/** The command `crane`: from the sources in a checkout, else from what the package was built to. */
const fs = require('node:fs');
const nodeModule = require('node:module');
const path = require('node:path');

const { registerTypeScript } = require('./typescript-sources');

const root = path.resolve(__dirname, '..');
const source = path.join(root, 'cli', 'crane.ts');

// Keeps what V8 makes of the sources, where Node can: from 22.1 on. Asked for by NODE_COMPILE_CACHE it is on already.
nodeModule.enableCompileCache?.();

// A reader that closes early, such as `| head`, ends the command without a complaint; what else goes wrong is said.
process.stdout.on('error', (error) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(
    `Standard output cannot be written (${error.code ?? error.message}), so the results are not complete. Check the space left where it goes to.\n`,
  );
  process.exit(1);
});
// There is no other place to complain to.
process.stderr.on('error', () => undefined);

function load() {
  if (!fs.existsSync(source)) return require(path.join(root, 'dist', 'cli', 'crane.js'));
  try {
    registerTypeScript(root);
    // Stack traces are shown with this option only, and then they name lines of the sources.
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
