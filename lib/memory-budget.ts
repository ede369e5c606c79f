/** What one task has been granted of a budget. Made by {@link MemoryBudget}. */
export interface MemoryClaim {
  /** Asks for so many bytes more, and waits until they are granted. */
  grow(bytes: number): Promise<void>;
  /** Gives back all that was granted. A second call does nothing. */
  release(): void;
}

interface Request {
  readonly bytes: number;
  readonly grant: () => void;
}

/** Pictures that are decoded at the same time take so much together, or one alone takes more. */
export const PICTURE_BYTES = 512 * 2 ** 20;

/**
 * Bounds what tasks that run at the same time hold in memory, in bytes and not in number. Who asks for more than is free
 * waits, in the order of asking; where all wait, the first is served nevertheless, so that what is larger than the whole
 * budget goes through alone, and no task waits for ever. In all, at most the budget and one task's claim are held.
 */
export class MemoryBudget {
  private used = 0;
  /** Tasks that have begun and do not wait for memory. */
  private running = 0;
  private readonly waiting: Request[] = [];

  constructor(private readonly bytes = PICTURE_BYTES) {}

  /** A claim on nothing yet. Its holder must not wait for another holder of the same budget, and must release it. */
  claim(): MemoryClaim {
    let held = 0;
    let released = false;
    this.running++;
    return {
      grow: async (bytes) => {
        await this.request(bytes);
        held += bytes;
      },
      release: () => {
        if (released) return;
        released = true;
        this.running--;
        this.used -= held;
        this.serve();
      },
    };
  }

  /** Runs a task; what it claims is given back when it ends. */
  async run<T>(task: (claim: MemoryClaim) => Promise<T>): Promise<T> {
    const claim = this.claim();
    try {
      return await task(claim);
    } finally {
      claim.release();
    }
  }

  private request(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.running--;
      this.waiting.push({ bytes, grant: resolve });
      this.serve();
    });
  }

  private serve(): void {
    for (let next = this.waiting[0]; next !== undefined && (this.running === 0 || this.used + next.bytes <= this.bytes); next = this.waiting[0]) {
      this.waiting.shift();
      this.used += next.bytes;
      this.running++;
      next.grant();
    }
  }
}
