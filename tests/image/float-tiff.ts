/** A little-endian float32 TIFF of one strip, directory last. */
export function floatTiff(width: number, height: number, values: readonly number[] | Float32Array): Buffer {
  return plainTiff(width, height, Float32Array.from(values), 3);
}

/**
 * A little-endian grey TIFF of one strip, directories last; all pages show the same samples.
 * @param format of the samples: 1 unsigned, 2 signed, 3 floating point
 */
export function plainTiff(
  width: number,
  height: number,
  samples: Float32Array | Float64Array | Uint8Array | Uint16Array | Uint32Array,
  format: number,
  pages = 1,
): Buffer {
  const data = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
  const tags = [
    [256, 3, width],
    [257, 3, height],
    [258, 3, 8 * samples.BYTES_PER_ELEMENT],
    [259, 3, 1],
    [262, 3, 1],
    [273, 4, 8],
    [277, 3, 1],
    [278, 3, height],
    [279, 4, data.length],
    [339, 3, format],
  ] as const;
  const size = 2 + tags.length * 12 + 4;
  const head = Buffer.from([0x49, 0x49, 42, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(8 + data.length, 4);
  const directories = Array.from({ length: pages }, (_, page) => {
    const directory = Buffer.alloc(size);
    directory.writeUInt16LE(tags.length, 0);
    tags.forEach(([tag, type, value], index) => {
      directory.writeUInt16LE(tag, 2 + index * 12);
      directory.writeUInt16LE(type, 4 + index * 12);
      directory.writeUInt32LE(1, 6 + index * 12);
      directory.writeUInt32LE(value, 10 + index * 12);
    });
    if (page + 1 < pages) directory.writeUInt32LE(8 + data.length + (page + 1) * size, size - 4);
    return directory;
  });
  return Buffer.concat([head, data, ...directories]);
}
