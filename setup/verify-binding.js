'use strict';
/**
 * Loads the native package and multiplies, in a separate process: an incompatible binding crashes the process.
 * usage: verify-binding.js PACKAGE_FOLDER
 */
const util = require('node:util');

// tfjs-node 4.22 uses two functions that Node 23 removed.
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;

const tf = require(process.argv[2]);
const product = tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync()[0];
if (tf.getBackend() !== 'tensorflow' || product !== 11) {
  throw new Error(`backend ${tf.getBackend()} computes 1 * 3 + 2 * 4 = ${product}`);
}
