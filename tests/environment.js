'use strict';
const { TestEnvironment } = require('jest-environment-node');

/**
 * jest gives tests a world of their own, with typed arrays of its own; those that native modules make are of the outer
 * world, so that `tensor.dataSync() instanceof Float32Array` is false. Here both are the same.
 */
class SharedTypedArrays extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    const shared = {
      ArrayBuffer,
      SharedArrayBuffer,
      DataView,
      Int8Array,
      Int16Array,
      Int32Array,
      Uint8Array,
      Uint8ClampedArray,
      Uint16Array,
      Uint32Array,
      Float32Array,
      Float64Array,
      BigInt64Array,
      BigUint64Array,
    };
    Object.assign(this.global, shared);
  }

  /** Threads of the WebAssembly backend would outlive the file whose tests have started them. */
  async teardown() {
    const engine = this.global._tfengine;
    if (engine?.registry.wasm !== undefined) engine.removeBackend('wasm');
    await super.teardown();
  }
}

module.exports = SharedTypedArrays;
