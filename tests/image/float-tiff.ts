/** A little-endian float32 TIFF of one strip, directory last. */
export function floatTiff(width: number, height: number, values: readonly number[] | Float32Array): Buffer {
  const tags = [
    [256, 3, width], [257, 3, height], [258, 3, 32], [259, 3, 1], [262, 3, 1],
    [273, 4, 8], [277, 3, 1], [278, 3, height], [279, 4, values.length * 4], [339, 3, 3],
  ] as const;
  const data = Buffer.from(Float32Array.from(values).buffer);
  const head = Buffer.from([0x49, 0x49, 42, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(8 + data.length, 4);
  const directory = Buffer.alloc(2 + tags.length * 12 + 4);
  directory.writeUInt16LE(tags.length, 0);
  tags.forEach(([tag, type, value], index) => {
    directory.writeUInt16LE(tag, 2 + index * 12);
    directory.writeUInt16LE(type, 4 + index * 12);
    directory.writeUInt32LE(1, 6 + index * 12);
    directory.writeUInt32LE(value, 10 + index * 12);
  });
  return Buffer.concat([head, data, directory]);
}
