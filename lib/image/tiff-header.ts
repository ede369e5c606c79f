/** What a TIFF file says about its first image. Source: TIFF 6.0, sections 2, 8, 18 to 22; BigTIFF. */
export interface TiffHeader {
  readonly compression: number;
  /** What samples mean: 0 and 1 grey, 2 RGB, 3 palette, 5 inks, 6 YCbCr. */
  readonly photometric: number | undefined;
  readonly samplesPerPixel: number;
  /** 1 unsigned, 2 signed, 3 floating point. */
  readonly sampleFormat: number;
  /** What samples beyond the colours mean: 0 nothing in particular, 1 and 2 alpha. Empty where the file does not say. */
  readonly extraSamples: readonly number[];
  /** Images in the file that are neither reductions nor masks of another. */
  readonly pages: number;
  /** The same file, except that a tag of its first image, one number, has another value; undefined where it has no such tag. */
  with(tag: number, value: number): Uint8Array | undefined;
}

export const TIFF_TAGS = {
  subfile: 254,
  compression: 259,
  photometric: 262,
  samplesPerPixel: 277,
  extraSamples: 338,
  sampleFormat: 339,
} as const;
/** A value of `sampleFormat`. */
export const FLOATING = 3;
/** Values of `photometric`. */
export const PHOTOMETRIC = { black: 1, palette: 3, inks: 5 } as const;

/** Bytes of a value by its type. */
const SIZES: Readonly<Record<number, 1 | 2 | 4 | 8>> = { 1: 1, 3: 2, 4: 4, 16: 8 };

interface Entry {
  readonly type: number;
  readonly count: number;
  /** Where its values begin. */
  readonly at: number;
}

/** @returns undefined when the bytes are not those of a TIFF file, or its first directory is cut off */
export function readTiffHeader(bytes: Uint8Array): TiffHeader | undefined {
  const file = new TiffFile(bytes);
  const first = file.isTiff ? file.directory(file.offset(file.big ? 8 : 4)) : undefined;
  if (first === undefined) return undefined;
  const numbers = (tag: number): readonly number[] => file.numbers(first.entries.get(tag));
  return {
    compression: numbers(TIFF_TAGS.compression)[0] ?? 1,
    photometric: numbers(TIFF_TAGS.photometric)[0],
    samplesPerPixel: numbers(TIFF_TAGS.samplesPerPixel)[0] ?? 1,
    sampleFormat: numbers(TIFF_TAGS.sampleFormat)[0] ?? 1,
    extraSamples: numbers(TIFF_TAGS.extraSamples),
    pages: file.pagesFrom(first),
    with: (tag, value) => file.with(first.entries.get(tag), value),
  };
}

interface Directory {
  readonly entries: ReadonlyMap<number, Entry>;
  readonly next: number;
}

class TiffFile {
  private readonly view: DataView;
  private readonly little: boolean;
  readonly isTiff: boolean;
  readonly big: boolean;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = bytes[0] === 0x49;
    const order = bytes.length >= 16 && bytes[0] === bytes[1] && (this.little || bytes[0] === 0x4d);
    const version = order ? this.view.getUint16(2, this.little) : 0;
    this.big = version === 43;
    this.isTiff = version === 42 || version === 43;
  }

  /** A place in the file; beyond its end where it is missing. */
  offset(at: number): number {
    if (at + (this.big ? 8 : 4) > this.bytes.length) return Infinity;
    return this.big ? Number(this.view.getBigUint64(at, this.little)) : this.view.getUint32(at, this.little);
  }

  directory(at: number): Directory | undefined {
    const [countSize, entrySize] = this.big ? [8, 20] : [2, 12];
    if (at < 8 || at + countSize > this.bytes.length) return undefined;
    const count = this.big ? Number(this.view.getBigUint64(at, this.little)) : this.view.getUint16(at, this.little);
    const end = at + countSize + count * entrySize;
    if (end > this.bytes.length) return undefined;
    const entries = new Map<number, Entry>();
    for (let place = at + countSize; place < end; place += entrySize) {
      const type = this.view.getUint16(place + 2, this.little);
      const values = this.offset(place + 4);
      const inline = place + (this.big ? 12 : 8);
      const fits = values * (SIZES[type] ?? 1) <= (this.big ? 8 : 4);
      entries.set(this.view.getUint16(place, this.little), {
        type,
        count: values,
        at: fits ? inline : this.offset(inline),
      });
    }
    return { entries, next: this.offset(end) };
  }

  /** Whole numbers of an entry, at most as many as an image has samples; none where it is missing, of another type, or cut off. */
  numbers(entry: Entry | undefined): readonly number[] {
    const size = entry && SIZES[entry.type];
    if (
      entry === undefined ||
      size === undefined ||
      entry.count > 0xffff ||
      entry.at + entry.count * size > this.bytes.length
    )
      return [];
    return Array.from({ length: entry.count }, (_, index) => {
      const at = entry.at + index * size;
      if (size === 8) return Number(this.view.getBigUint64(at, this.little));
      return size === 4
        ? this.view.getUint32(at, this.little)
        : size === 2
          ? this.view.getUint16(at, this.little)
          : this.view.getUint8(at);
    });
  }

  pagesFrom(first: Directory): number {
    let pages = 0;
    let directory: Directory | undefined = first;
    // A directory may lead back to an earlier one.
    const seen = new Set<number>();
    while (directory !== undefined) {
      // Bit 0 a reduction, bit 2 a mask of another image.
      const kind = this.numbers(directory.entries.get(TIFF_TAGS.subfile))[0] ?? 0;
      if ((kind & 5) === 0) pages++;
      const next: number = directory.next;
      directory = next === 0 || seen.has(next) ? undefined : this.directory(next);
      seen.add(next);
    }
    return Math.max(1, pages);
  }

  with(entry: Entry | undefined, value: number): Uint8Array | undefined {
    if (entry === undefined || entry.type !== 3 || entry.at + 2 * entry.count > this.bytes.length) return undefined;
    const changed = Uint8Array.from(this.bytes);
    const view = new DataView(changed.buffer);
    for (let index = 0; index < entry.count; index++) view.setUint16(entry.at + 2 * index, value, this.little);
    return changed;
  }
}
