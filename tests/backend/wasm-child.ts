/** A program for tests of threads: detects in one picture on WebAssembly, prints what it found, and ends by having nothing left to do. */
import * as tf from '@tensorflow/tfjs';
import { prepareBackend } from '../../lib/backend';
import { Crane } from '../../index';

async function main(): Promise<void> {
  const listeners = process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection');
  const { threads, warning } = await prepareBackend('wasm');
  const added = process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection') - listeners;
  const product = tf.tidy(() =>
    tf.matMul(
      tf.randomNormal([3, 67, 41], 0, 1, 'float32', 1),
      tf.randomNormal([3, 59, 41], 0, 1, 'float32', 2),
      false,
      true,
    ),
  );
  const softmax = tf.softmax(product);
  const crane = await Crane.load({ backend: 'wasm' });
  const { score, map } = await crane.detect({ data: picture(), width: 96, height: 80, channels: 3 });
  crane.dispose();
  console.log(
    JSON.stringify({
      threads,
      warning,
      added,
      worker: 'Worker' in globalThis,
      shared: [(await product.data()).buffer, softmax.dataSync().buffer, map.buffer].some(
        (buffer) => buffer instanceof SharedArrayBuffer,
      ),
      values: [...(await product.data()), ...(await softmax.data()), score, ...map],
    }),
  );
}

function picture(): Uint8Array {
  return Uint8Array.from({ length: 96 * 80 * 3 }, (_, index) => (index * 7 + (index % 96) * (index % 13)) % 256);
}

void main();
