import { UsageError } from './errors';
import { CHANNELS, type DecodedImage } from './image/decoded-image';
import { MemoryBudget, PICTURE_BYTES, type MemoryClaim } from './memory-budget';

/** Bytes per pixel of a map at the image's own size, and of a map with everything rendered from it. */
const MAP_BYTES = 4;
const DRAWING_BYTES = 16;

/** Limits the memory of one stream: for images while they are read, for maps while they are in use. */
export class StreamMemory {
  private readonly budget = new MemoryBudget();
  private kept = 0;
  private left = false;

  /** @param keepsPictures whether images are kept with their maps */
  constructor(private readonly keepsPictures: boolean) {}

  /** Runs the reading of one image. Stops waiting for memory once nobody reads the stream any more. */
  reading<T>(task: (memory: MemoryClaim) => Promise<T>): Promise<T> {
    return this.budget.run((claim) =>
      task({
        ...claim,
        grow: async (bytes) => {
          await claim.grow(bytes);
          if (this.left) throw new UsageError('usage/stream-left', 'nobody reads the stream any more', {});
        },
      }),
    );
  }

  /** Waits until a map of that size may be made. Release the claim when its reader asks for the next map. */
  async forMap(width: number, height: number): Promise<MemoryClaim> {
    const claim = this.budget.claim();
    await claim.grow(width * height * (this.keepsPictures ? DRAWING_BYTES : MAP_BYTES));
    return claim;
  }

  /**
   * Counts an image that is kept with its map.
   * @returns its size in bytes; 0 if it is not kept because keeping is off or the limit is reached
   */
  keep({ width, height, mode }: DecodedImage): number {
    const bytes = width * height * CHANNELS[mode];
    if (!this.keepsPictures || this.kept + bytes > PICTURE_BYTES) return 0;
    this.kept += bytes;
    return bytes;
  }

  /** Takes back what {@link keep} counted. */
  drop(bytes: number): void {
    this.kept -= bytes;
  }

  /** Nobody reads the stream any more. */
  leave(): void {
    this.left = true;
  }
}
