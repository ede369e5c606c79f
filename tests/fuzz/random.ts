/** Seeded numbers, so that a mutant is told by its target, its seed and its number alone. */
export class Random {
  private state: number;

  /** @param words what the numbers follow from, such as a seed, a name and a count */
  constructor(...words: readonly (string | number)[]) {
    // FNV-1a, then a finaliser, so that neighbouring counts have nothing in common.
    let hash = 0x811c9dc5;
    for (const character of words.join('/')) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    this.state = hash ^ (hash >>> 16);
  }

  /** 0 or more, less than 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to `count - 1`; 0 where there is no choice. */
  below(count: number): number {
    return Math.floor(this.next() * Math.max(count, 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of several things. @throws Error where there is none */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('nothing to choose from');
    return items[this.below(items.length)] as T;
  }

  /** 1, more rarely 2, 3, … `most`. */
  few(most: number): number {
    let count = 1;
    while (count < most && this.chance(0.45)) count++;
    return count;
  }
}
