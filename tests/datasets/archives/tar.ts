/** One entry of a tar archive for tests, which can also lie. */
export interface TarFile {
  readonly name: string;
  readonly content?: Uint8Array | string;
  /** Default `0`, a plain file. */
  readonly type?: string;
  readonly link?: string;
  /** Stands before the name in a field of its own. */
  readonly prefix?: string;
  readonly magic?: string;
  readonly lie?: { readonly size?: number; readonly checksum?: number };
}

const BLOCK = 512;

/** A small tar writer apart from the library's reader. */
export function tar(files: readonly TarFile[], options: { readonly close?: boolean } = {}): Buffer {
  const parts = files.flatMap((file) => {
    const content = Buffer.from(file.content ?? '');
    return [headerOf(file, content.length), content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
  });
  return Buffer.concat([...parts, Buffer.alloc(options.close === false ? 0 : 2 * BLOCK)]);
}

/** A pax header for the file that follows. */
export function pax(attributes: Readonly<Record<string, string>>): TarFile {
  const records = Object.entries(attributes).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(rest);
    while (String(length).length + Buffer.byteLength(rest) !== length)
      length = String(length).length + Buffer.byteLength(rest);
    return `${length}${rest}`;
  });
  return { name: 'PaxHeaders/x', type: 'x', content: records.join('') };
}

function headerOf(
  { name, type = '0', link = '', prefix = '', magic = 'ustar\0' + '00', lie = {} }: TarFile,
  length: number,
): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100);
  header.write('0000644\0', 100, 'latin1');
  header.write(`${(lie.size ?? length).toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.fill(0x20, 148, 156);
  header.write(type, 156, 'latin1');
  header.write(link, 157, 100);
  header.write(magic, 257, 'latin1');
  header.write(prefix, 345, 155);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${(lie.checksum ?? sum).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}
