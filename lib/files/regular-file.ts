import * as fs from 'node:fs';

/** Opening a queue without a writer, or a terminal, does not block. Windows has no such flag. */
const WITHOUT_WAITING = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);
const CHUNK = 2 ** 16;

/** Why a file was not read. */
export class FileRefusal extends Error {
  /** How many there were at least, where there were too many. */
  readonly bytes: number;

  /** @param reason `ENOENT` and the like, `kind` for anything but a file, `size` for more than was allowed */
  constructor(
    readonly reason: string,
    readonly found: string,
    options?: ErrorOptions & { readonly bytes?: number },
  ) {
    super(found, options);
    this.bytes = options?.bytes ?? 0;
  }
}

/**
 * Reads a file of a folder that may hold anything: queues, sockets, devices and folders are refused before they are read, since
 * they may never end, and no more is read than is allowed, however long the file grows meanwhile.
 *
 * @throws FileRefusal, which the caller reports
 */
export async function readRegularFile(path: string, most: number): Promise<Buffer> {
  let handle: fs.promises.FileHandle | undefined;
  try {
    // First, since opening a device can be enough to do something.
    refuseOthers(await fs.promises.stat(path));
    handle = await fs.promises.open(path, WITHOUT_WAITING);
    const stat = await handle.stat();
    refuseOthers(stat);
    if (stat.size > most) throw tooMany(stat.size);
    const parts: Buffer[] = [];
    let size = 0;
    for (let room = stat.size + 1; ; room = CHUNK) {
      const part = Buffer.allocUnsafe(room);
      const { bytesRead } = await handle.read(part, 0, room, null);
      if (bytesRead === 0) return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
      parts.push(part.subarray(0, bytesRead));
      size += bytesRead;
      if (size > most) throw tooMany(size);
    }
  } catch (error) {
    throw refusalOf(error, path);
  } finally {
    await handle?.close();
  }
}

/** As {@link readRegularFile}, at once. */
export function readRegularFileSync(path: string, most: number): Buffer {
  let descriptor: number | undefined;
  try {
    refuseOthers(fs.statSync(path));
    descriptor = fs.openSync(path, WITHOUT_WAITING);
    const stat = fs.fstatSync(descriptor);
    refuseOthers(stat);
    const content = Buffer.alloc(most + 1);
    let size = 0;
    for (let read = -1; read !== 0 && size <= most; size += read)
      read = fs.readSync(descriptor, content, size, content.length - size, null);
    if (size > most) throw tooMany(Math.max(size, stat.size));
    return content.subarray(0, size);
  } catch (error) {
    throw refusalOf(error, path);
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

function tooMany(bytes: number): FileRefusal {
  return new FileRefusal('size', `${bytes} bytes or more`, { bytes });
}

function refuseOthers(stat: fs.Stats): void {
  if (stat.isFile()) return;
  const kind = stat.isDirectory()
    ? 'a folder'
    : stat.isFIFO()
      ? 'a queue between programs (FIFO)'
      : stat.isSocket()
        ? 'a socket'
        : 'a device';
  throw new FileRefusal('kind', kind);
}

function refusalOf(error: unknown, path: string): FileRefusal {
  if (error instanceof FileRefusal) return error;
  const code = (error as NodeJS.ErrnoException).code ?? String(error);
  return new FileRefusal(code, whyUnreadable(code, path), { cause: error });
}

/** What the system's code says about a file that was not read, in words. */
export function whyUnreadable(code: string, path: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return isLink(path) ? 'a link to a file that does not exist' : 'no such file';
    case 'ELOOP':
      return 'a link that leads back to itself';
    case 'ENAMETOOLONG':
      return 'its name is longer than the file system allows';
    default:
      return `cannot be read (${code})`;
  }
}

function isLink(path: string): boolean {
  try {
    return fs.lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
