'use strict';
/**
 * Fuzzing of everything that reads what others made; `npm run fuzz -- --help` says how.
 *
 * usage: node tests/fuzz/start.js ARGUMENTS… | serve SCRATCH-FOLDER TARGET…
 */
const path = require('node:path');
const { registerTypeScript } = require('../../bin/typescript-sources');

registerTypeScript(path.resolve(__dirname, '..', '..'));

const [first, scratch, ...targets] = process.argv.slice(2);
if (first === 'serve') {
  const { serve } = require('./child');
  serve(scratch, targets);
} else {
  require('./command')
    .main(process.argv.slice(2))
    .then((code) => {
      process.exitCode = code;
    });
}
