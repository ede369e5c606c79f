/** A TIFF of one strip or several pages, written by hand, so that any tag can be had. */
export interface TiffPage {
  readonly width: number;
  readonly height: number;
  /** Samples as they are stored, row by row. */
  readonly data: Uint8Array | Uint16Array | Int16Array | Int8Array | Uint32Array | Float32Array;
  readonly samples?: number;
  /** 1 grey (the default), 2 RGB, 3 palette, 5 CMYK, 8 Lab. */
  readonly photometric?: number;
  /** 1 unsigned, 2 signed, 3 floating point. */
  readonly format?: number;
  /** More tags of 16-bit numbers. */
  readonly tags?: Readonly<Record<number, readonly number[]>>;
}

/** Little-endian. */
export function tiff(...pages: readonly TiffPage[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0x49, 0x49, 42, 0, 0, 0, 0, 0])];
  let length = 8;
  const append = (bytes: Buffer): number => {
    const padded = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
    parts.push(padded);
    length += padded.length;
    return length - padded.length;
  };
  // Where the offset of the next directory is to be written.
  let link = { part: parts[0] as Buffer, at: 4 };
  for (const { width, height, data, samples = 1, photometric = 1, format = 1, tags = {} } of pages) {
    const strip = append(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    const bits = Array.from({ length: samples }, () => 8 * data.BYTES_PER_ELEMENT);
    const formats = Array.from({ length: samples }, () => format);
    const shorts: Record<number, readonly number[]> = {
      256: [width],
      257: [height],
      258: bits,
      259: [1],
      262: [photometric],
      277: [samples],
      278: [height],
      284: [1],
      339: formats,
      ...tags,
    };
    const entries = Object.entries(shorts).map(([tag, values]) => {
      const entry = Buffer.alloc(12);
      entry.writeUInt16LE(Number(tag), 0);
      entry.writeUInt16LE(3, 2);
      entry.writeUInt32LE(values.length, 4);
      const content = Buffer.alloc(values.length * 2);
      values.forEach((value, index) => content.writeUInt16LE(value, 2 * index));
      if (content.length <= 4) content.copy(entry, 8);
      else entry.writeUInt32LE(append(content), 8);
      return entry;
    });
    for (const [tag, value] of [
      [273, strip],
      [279, data.byteLength],
    ] as const) {
      const entry = Buffer.alloc(12);
      entry.writeUInt16LE(tag, 0);
      entry.writeUInt16LE(4, 2);
      entry.writeUInt32LE(1, 4);
      entry.writeUInt32LE(value, 8);
      entries.push(entry);
    }
    entries.sort((a, b) => a.readUInt16LE(0) - b.readUInt16LE(0));
    const count = Buffer.alloc(2);
    count.writeUInt16LE(entries.length, 0);
    const end = Buffer.alloc(4);
    const directory = Buffer.concat([count, ...entries, end]);
    link.part.writeUInt32LE(append(directory), link.at);
    link = { part: directory, at: directory.length - 4 };
  }
  return Buffer.concat(parts);
}

/** A colour map tag: all reds, then greens, then blues, in 16 bits; colours that are not given are black. */
export function colourMap(
  ...colours: readonly (readonly [number, number, number])[]
): Readonly<Record<number, readonly number[]>> {
  return {
    320: [0, 1, 2].flatMap((channel) =>
      Array.from({ length: 256 }, (_, index) => (colours[index]?.[channel] ?? 0) * 257),
    ),
  };
}
