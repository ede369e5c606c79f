/**
 * TensorFlow takes over a typed array without a copy only where it begins at a multiple of this, and large buffers of V8
 * begin this many bytes short of one.
 */
const ALIGNMENT = 64;
const BEFORE_ALIGNED = 48;

/**
 * Memory that one read after the other is put into. A buffer of its own for each tensor of a file would leave hundreds of
 * megabytes to the garbage collector, which is in no hurry.
 */
export class ReusedBytes {
  private buffer = new ArrayBuffer(0);

  /** `length` bytes, what they hold from before included; the next call gives the same memory again. */
  take(length: number): Uint8Array {
    if (this.buffer.byteLength < length + ALIGNMENT) this.buffer = new ArrayBuffer(length + ALIGNMENT);
    return new Uint8Array(this.buffer, BEFORE_ALIGNED, length);
  }
}
