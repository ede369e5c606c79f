#!/usr/bin/env node
'use strict';
/** The command `crane`: from the sources in a checkout, else from what the package was built to. */
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const source = path.join(root, 'cli', 'crane.ts');

// A reader that closes early, such as `| head`, ends the command without a complaint.
process.stdout.on('error', (error) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

function load() {
  if (!fs.existsSync(source)) return require(path.join(root, 'dist', 'cli', 'crane.js'));
  try {
    require('ts-node').register({ transpileOnly: true, cwd: root, project: path.join(root, 'tsconfig.json') });
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
