/**
 * The Mersenne Twister MT19937 as NumPy's `RandomState(seed)` uses it, as far as scikit-learn's `train_test_split` needs
 * it: splits that the reference scripts drew are drawn again, not stored.
 */
class RandomState {
  private readonly state = new Uint32Array(624);
  private at = 624;

  constructor(seed: number) {
    let value = seed >>> 0;
    this.state[0] = value;
    for (let i = 1; i < 624; i++) {
      value = (Math.imul(1812433253, value ^ (value >>> 30)) + i) >>> 0;
      this.state[i] = value;
    }
  }

  /** Uniform over 0 to 2^32 - 1. */
  private next(): number {
    if (this.at === 624) this.refill();
    let y = this.state[this.at++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private refill(): void {
    const { state } = this;
    for (let i = 0; i < 624; i++) {
      const y = ((state[i] as number) & 0x80000000) | ((state[(i + 1) % 624] as number) & 0x7fffffff);
      state[i] = (state[(i + 397) % 624] as number) ^ (y >>> 1) ^ ((y & 1) === 0 ? 0 : 0x9908b0df);
    }
    this.at = 0;
  }

  /** Uniform over 0 to `largest`, by drawing again what the mask lets through above it. */
  private upTo(largest: number): number {
    let mask = largest;
    for (const shift of [1, 2, 4, 8, 16]) mask |= mask >>> shift;
    for (;;) {
      const value = (this.next() & mask) >>> 0;
      if (value <= largest) return value;
    }
  }

  /** 0 to count - 1 in random order. */
  permutation(count: number): number[] {
    const order = Array.from({ length: count }, (_, index) => index);
    for (let i = count - 1; i > 0; i--) {
      const j = this.upTo(i);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }
}

/**
 * Which of `count` things scikit-learn's `train_test_split(things, test_size=share, random_state=seed)` puts into the
 * test half, in its order: the first ceil(share * count) of the permutation.
 */
export function testSplit(count: number, share: number, seed: number): number[] {
  return new RandomState(seed).permutation(count).slice(0, Math.ceil(share * count));
}
