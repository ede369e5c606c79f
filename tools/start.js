'use strict';
/**
 * Runs a tool of the checkout; `npm run pretrain` and `npm run stand-ins` call it.
 *
 * usage: node tools/start.js TOOL ARGUMENTS…
 */
const path = require('node:path');
const { registerTypeScript } = require('../bin/typescript-sources');

registerTypeScript(path.resolve(__dirname, '..'));
require('./main')
  .runTool(process.argv.slice(2))
  .then((code) => {
    process.exitCode = code;
  });
