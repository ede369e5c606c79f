'use strict';
/**
 * Runs the examples in a checkout, where they find `crane-tfjs` in its sources: node -r ./examples/register.js examples/NAME.ts
 * A project that has crane-tfjs installed needs nothing of this.
 */
const Module = require('node:module');
const path = require('node:path');
const { registerTypeScript } = require('../bin/typescript-sources');

const ROOT = path.resolve(__dirname, '..');
const DOORS = { 'crane-tfjs': 'index.ts', 'crane-tfjs/layers': 'layers.ts' };

registerTypeScript(ROOT);
const resolve = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) =>
  name in DOORS ? path.join(ROOT, DOORS[name]) : resolve.call(Module, name, ...rest);
