'use strict';
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');

const HOST = 'storage.googleapis.com';
const ANSWER_MS = 10_000;

/**
 * Lets the npm package fetch its own libtensorflow (2.9.1, from 2022) and compiled binding. Its script waits forever
 * on a network that does not answer, so the host is contacted first.
 *
 * @param {import('./context').SetupContext} context
 * @param {string} packageFolder
 * @param {boolean} gpu
 * @returns {Promise<{ detail: string }>}
 */
async function ownDownload(context, packageFolder, gpu) {
  if (context.offline) throw new Error('network access is turned off');
  if (!behindProxy(context.environment)) await ask(HOST);
  context.log(`Downloading libtensorflow from ${HOST} …`);
  const bin = path.resolve(packageFolder, '..', '..', '.bin');
  let reason = '';
  for (const kind of gpu ? ['gpu', 'cpu'] : ['cpu']) {
    const result = await context.run(process.execPath, ['scripts/install.js', kind, 'download'], {
      cwd: packageFolder,
      env: { ...context.environment, PATH: `${bin}${path.delimiter}${context.environment.PATH ?? ''}` },
      watchFolder: path.join(packageFolder, 'deps'),
    });
    if (result.ok) return { detail: `libtensorflow 2.9.1 for ${kind}` };
    reason = result.reason;
    fs.rmSync(path.join(packageFolder, 'deps'), { recursive: true, force: true });
    fs.rmSync(path.join(packageFolder, 'lib'), { recursive: true, force: true });
  }
  throw new Error(reason);
}

function behindProxy(environment) {
  return Boolean(environment.HTTPS_PROXY || environment.https_proxy);
}

/** Resolves when the host gives any answer. */
function ask(host) {
  return new Promise((resolve, reject) => {
    const request = https.request({ host, method: 'HEAD', path: '/', agent: false }, (response) => {
      response.resume();
      resolve();
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer for ${ANSWER_MS / 1000} s`)), ANSWER_MS);
    request.once('error', (error) => reject(new Error(`${host}: ${error.message}`)));
    request.once('close', () => clearTimeout(timer));
    request.end();
  });
}

module.exports = { ownDownload };
