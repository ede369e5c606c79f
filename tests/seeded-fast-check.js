'use strict';

/**
 * fast-check with the same cases in every run, so that a run that fails is about the change and not about the dice.
 * CRANE_TEST_SEED rolls them anew: a number, or `random`.
 */
// By its place, since its name leads here.
const fastCheck = require('../node_modules/fast-check/lib/cjs/fast-check.js');

const seed = process.env.CRANE_TEST_SEED ?? '1';
if (seed !== 'random') fastCheck.configureGlobal({ seed: Number(seed) });
module.exports = fastCheck;
