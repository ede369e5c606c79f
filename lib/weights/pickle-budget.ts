import { WeightsError } from '../errors';

/**
 * All values of a file's pickles together. The largest published models take 2 MB, their training checkpoints 20; a
 * pickle of a few kilobytes could ask for gigabytes of empty dictionaries.
 */
const MOST_BYTES = 64 << 20;

/** What V8 takes for a value, by and large; what is dropped again counts too. */
const COST = { number: 16, list: 48, slot: 12, dict: 240, item: 56, text: 32, memo: 80 } as const;

/** Counts what the values of a pickle take in memory, and stops where that grows without end. */
export class PickleBudget {
  private left: number;

  constructor(private readonly bytesInAll = MOST_BYTES) {
    this.left = bytesInAll;
  }

  number(): void {
    this.take(COST.number);
  }

  /** A list or tuple, or an object without items. */
  list(slots: number): void {
    this.take(COST.list + slots * COST.slot);
  }

  /** A dictionary, or another object with memory of its own. */
  dict(): void {
    this.take(COST.dict);
  }

  items(count: number): void {
    this.take(count * COST.item);
  }

  /** A value under its number in the memo. */
  memo(): void {
    this.take(COST.memo);
  }

  /** A text or a long integer. */
  bytes(count: number): void {
    this.take(COST.text + count);
  }

  private take(bytes: number): void {
    this.left -= bytes;
    if (this.left >= 0) return;
    throw new WeightsError(
      'weights/limit',
      `the checkpoint's pickle creates more than ${this.bytesInAll >> 20} MB of values beside its tensors, which no weights need; save the state dict alone`,
      { limit: this.bytesInAll },
    );
  }
}
