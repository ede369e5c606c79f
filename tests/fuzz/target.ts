import type { Random } from './random';

/** Files of one mutant, by their paths below its folder. */
export type Files = Readonly<Record<string, Uint8Array>>;

export const GROUPS = ['weights', 'images', 'archives', 'datasets'] as const;
export type Group = (typeof GROUPS)[number];

/** A kind of input: how it is made, changed and read. */
export interface Target {
  readonly name: string;
  readonly group: Group;
  /** Inputs that nothing is wrong with: they must be accepted, else nothing deep is reached. */
  readonly seeds: readonly Files[];
  mutate(random: Random): Files;
  /**
   * Reads the files as the product does, with a bound on what is asked for.
   * @throws what the reader throws; `Breach` where it has done what it must not
   */
  read(folder: string): void | Promise<void>;
}

/** A promise that a reader has broken without an error of its own, such as a file outside of its folder. */
export class Breach extends Error {}
