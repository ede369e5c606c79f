/**
 * TensorFlow takes over a typed array without a copy only where it begins at a multiple of 64. The C library maps blocks of
 * more than 32 MiB on their own, and a buffer in one begins 48 bytes short of such a multiple. Of a large buffer only what
 * was written to takes memory. Where a library does otherwise, there is a copy more and nothing else changes.
 */
const BEFORE_ALIGNED = 48;
const MAPPED_ALONE = 33 << 20;

/**
 * Memory that one read after the other is put into. A buffer of its own for each tensor of a file would leave hundreds of
 * megabytes to the garbage collector, which is in no hurry.
 */
export class ReusedBytes {
  private buffer = new ArrayBuffer(0);

  /** @param purpose where what is read goes: to a tensor as it is, or through a conversion in JavaScript */
  constructor(private readonly purpose: 'tensor' | 'conversion') {}

  /** `length` bytes, what they hold from before included; the next call gives the same memory again. */
  take(length: number): Uint8Array {
    const needed = BEFORE_ALIGNED + length;
    if (this.buffer.byteLength < needed) {
      this.buffer = new ArrayBuffer(this.purpose === 'tensor' ? Math.max(MAPPED_ALONE, needed) : needed);
    }
    return new Uint8Array(this.buffer, BEFORE_ALIGNED, length);
  }
}
