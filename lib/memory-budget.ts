/** What one task has been granted of a budget. Made by {@link MemoryBudget}. */
export interface MemoryClaim {
  /** Asks for so many bytes more, and waits until they are granted. */
  grow(bytes: number): Promise<void>;
  /** Returns everything that was granted. A second call does nothing. */
  release(): void;
}

interface Holder {
  held: number;
  /** What is requested and not granted yet. */
  request: { readonly bytes: number; readonly grant: () => void } | undefined;
}

/** Images that are decoded at the same time may take this much together; a single one may take more. */
export const PICTURE_BYTES = 512 * 2 ** 20;

/**
 * Bounds what tasks that run at the same time hold in memory, in bytes and not in number. A request for more than is free
 * waits; holders go first, since they will return it, the others in order of asking. Where all wait, one is
 * served nevertheless, so that a request larger than the whole budget passes alone, and no task waits forever. In all, at
 * most the budget and one task's claim are held.
 */
export class MemoryBudget {
  private used = 0;
  /** In the order in which they asked last. */
  private readonly holders = new Set<Holder>();
  /** The one that was granted more than there is. */
  private over: Holder | undefined;

  constructor(private readonly bytes = PICTURE_BYTES) {}

  /** A claim on nothing yet. Its holder must not wait for another holder of the same budget, and must release it. */
  claim(): MemoryClaim {
    const holder: Holder = { held: 0, request: undefined };
    this.holders.add(holder);
    return {
      grow: (bytes) =>
        new Promise((resolve) => {
          holder.request = { bytes, grant: resolve };
          this.holders.delete(holder);
          this.holders.add(holder);
          this.serve();
        }),
      release: () => {
        if (!this.holders.delete(holder)) return;
        this.used -= holder.held;
        if (this.over === holder) this.over = undefined;
        this.serve();
      },
    };
  }

  /** Runs a task; what it claims is returned when it ends. */
  async run<T>(task: (claim: MemoryClaim) => Promise<T>): Promise<T> {
    const claim = this.claim();
    try {
      return await task(claim);
    } finally {
      claim.release();
    }
  }

  private serve(): void {
    const waiting = [...this.holders].filter(({ request }) => request !== undefined);
    const fits = ({ request }: Holder): boolean => this.used + (request?.bytes ?? 0) <= this.bytes;
    const holding = waiting.filter(({ held }) => held > 0);
    const others = waiting.filter(({ held }) => held === 0);
    holding.filter(fits).forEach((holder) => fits(holder) && this.grant(holder));
    // Nobody overtakes a large request, or it would wait forever.
    while (others[0] !== undefined && fits(others[0])) this.grant(others.shift() as Holder);
    const stuck = waiting.filter(({ request }) => request !== undefined);
    if (stuck.length === 0 || stuck.length < this.holders.size) return;
    this.over =
      stuck.find((holder) => holder === this.over) ?? stuck.find(({ held }) => held > 0) ?? (stuck[0] as Holder);
    this.grant(this.over);
  }

  private grant(holder: Holder): void {
    const { bytes, grant } = holder.request as NonNullable<Holder['request']>;
    holder.request = undefined;
    holder.held += bytes;
    this.used += bytes;
    grant();
  }
}
