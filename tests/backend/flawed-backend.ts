import * as tf from '@tensorflow/tfjs';
import type { KernelBackend, KernelConfig, TensorInfo } from '@tensorflow/tfjs-core';

/** What a kernel of the flawed backend does with the right result before it hands it out. */
export type Flaw = (values: Float32Array) => void;

/** A backend with the plain one's kernels, of which one may be spoilt at a time. */
export class FlawedBackend {
  private constructor(
    readonly backend: KernelBackend,
    private readonly name: string,
  ) {}

  /** Registers it under the name, which no other backend has. */
  static register(name: string): FlawedBackend {
    const Plain = tf.findBackend('cpu').constructor as new () => KernelBackend;
    const backend = new Plain();
    if ('firstUse' in backend) backend.firstUse = false;
    for (const kernel of tf.getKernelsForBackend('cpu')) tf.registerKernel({ ...kernel, backendName: name });
    tf.registerBackend(name, () => backend, 0);
    return new FlawedBackend(backend, name);
  }

  /** Runs the action while results of a kernel are spoilt. */
  async with<T>(kernelName: string, flaw: Flaw, action: () => Promise<T>): Promise<T> {
    const right = tf.getKernel(kernelName, this.name);
    this.replace({ ...right, kernelFunc: (call) => this.spoil(right.kernelFunc(call), flaw) });
    try {
      return await action();
    } finally {
      this.replace(right);
    }
  }

  /** Runs the action while a kernel is missing. */
  async without<T>(kernelName: string, action: () => Promise<T>): Promise<T> {
    const right = tf.getKernel(kernelName, this.name);
    tf.unregisterKernel(kernelName, this.name);
    try {
      return await action();
    } finally {
      tf.registerKernel(right);
    }
  }

  private spoil(result: TensorInfo | TensorInfo[], flaw: Flaw): TensorInfo | TensorInfo[] {
    for (const { dataId } of Array.isArray(result) ? result : [result])
      flaw(this.backend.readSync(dataId) as Float32Array);
    return result;
  }

  private replace(kernel: KernelConfig): void {
    tf.unregisterKernel(kernel.kernelName, this.name);
    tf.registerKernel(kernel);
  }
}
