import { UsageError } from './errors';
import { CHANNELS, type DecodedImage } from './image/decoded-image';
import { MemoryBudget, PICTURE_BYTES, type MemoryClaim } from './memory-budget';

/** Bytes per pixel of a map at the image's own size, and of a map with all that is drawn from it. */
const MAP_BYTES = 4;
const DRAWING_BYTES = 16;

/** What the images of one stream hold in memory: images while they are read, maps while they are in use. */
export class StreamMemory {
  private readonly budget = new MemoryBudget();
  private kept = 0;
  private left = false;

  /** @param keepsPictures whether images are kept with their maps */
  constructor(private readonly keepsPictures: boolean) {}

  /** Runs the reading of one image. It ends if it waits for memory and nobody reads the stream any more. */
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

  /** Waits until a map of that size may be made; the claim is to be released when its reader asks for the next. */
  async forMap(width: number, height: number): Promise<MemoryClaim> {
    const claim = this.budget.claim();
    await claim.grow(width * height * (this.keepsPictures ? DRAWING_BYTES : MAP_BYTES));
    return claim;
  }

  /** Counts an image that is kept with its map. @returns its bytes; 0 where it is not kept, or too many are already */
  keep({ width, height, mode }: DecodedImage): number {
    const bytes = width * height * CHANNELS[mode];
    if (!this.keepsPictures || this.kept + bytes > PICTURE_BYTES) return 0;
    this.kept += bytes;
    return bytes;
  }

  /** Discounts what {@link keep} counted. */
  drop(bytes: number): void {
    this.kept -= bytes;
  }

  /** Nobody reads the stream any more. */
  leave(): void {
    this.left = true;
  }
}
