'use strict';
/**
 * Sets up what is missing, then runs a tool of the checkout in the same process:
 *
 * usage: node setup/run.js crane ARGUMENTS… | jest ARGUMENTS… | fuzz ARGUMENTS… | tool NAME ARGUMENTS…
 *
 * npm skips pre- and post-scripts where `ignore-scripts` is on, so the scripts of package.json call this themselves.
 */
const path = require('node:path');
const { setUp } = require('./setup');

const ROOT = path.resolve(__dirname, '..');
const TOOLS = {
  crane: path.join(ROOT, 'bin', 'crane.js'),
  jest: path.join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js'),
  fuzz: path.join(ROOT, 'tests', 'fuzz', 'start.js'),
  tool: path.join(ROOT, 'tools', 'start.js'),
};

async function main([tool, ...args]) {
  const file = TOOLS[tool];
  if (file === undefined) throw new Error(`Unknown tool ${tool}; expected one of ${Object.keys(TOOLS).join(', ')}.`);
  if (args.includes('--offline')) process.env.CRANE_OFFLINE = '1';
  await setUp({ root: ROOT });
  // jest has no such option.
  const passed = tool === 'jest' ? args.filter((arg) => arg !== '--offline') : args;
  process.argv = [process.execPath, file, ...passed];
  require(file);
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
