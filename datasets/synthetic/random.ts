const { PI, floor, imul, sqrt } = Math;

/**
 * Seeded random numbers: a string seed is hashed (xmur3) into the four words of a xoshiro128** generator. Streams are
 * split by name from the seed and never from the state, so a part draws the same whatever was drawn before it.
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(readonly seed: string) {
    let hash = 1779033703 ^ seed.length;
    for (let i = 0; i < seed.length; i++) {
      hash = imul(hash ^ seed.charCodeAt(i), 3432918353);
      hash = (hash << 13) | (hash >>> 19);
    }
    const word = (): number => {
      hash = imul(hash ^ (hash >>> 16), 2246822507);
      hash = imul(hash ^ (hash >>> 13), 3266489909);
      hash ^= hash >>> 16;
      return hash;
    };
    this.a = word();
    this.b = word();
    this.c = word();
    this.d = word() | 1;
  }

  /** A stream of its own, named; the same name gives the same stream at any time. */
  split(name: string): Random {
    return new Random(`${this.seed}/${name}`);
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    const product = imul(this.b, 5);
    const result = imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result;
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.bits() / 4294967296;
  }

  /** Uniform in [from, to). */
  range(from: number, to: number): number {
    return from + (to - from) * this.next();
  }

  /** A whole number, both ends included. */
  integer(from: number, to: number): number {
    return from + floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** -1 or 1. */
  sign(): number {
    return this.next() < 0.5 ? -1 : 1;
  }

  /** An angle in radians, 0 to 2 pi. */
  angle(): number {
    return this.range(0, 2 * PI);
  }

  /** About normal (four uniforms), mean 0, standard deviation 1, never beyond 3.5. */
  normal(): number {
    return (this.next() + this.next() + this.next() + this.next() - 2) * sqrt(3);
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const chosen = list[floor(this.next() * list.length)];
    if (chosen === undefined) throw new RangeError('cannot pick from an empty list');
    return chosen;
  }
}
