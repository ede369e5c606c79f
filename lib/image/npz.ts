import { ImageError } from '../errors';
import { RandomAccessFile } from '../files/byte-section';
import { ZipArchive } from '../files/zip';
import { decodeNpy, type NpyArray } from './npy';

/** Larger arrays are not maps. */
const LARGEST_ARRAY = 2 ** 31;

/** An NPZ file: a zip archive of NPY arrays, as `numpy.savez` and `numpy.savez_compressed` write it. */
export class NpzFile {
  /** Names of the arrays, in the order of the file. */
  readonly names: readonly string[];
  private readonly file: RandomAccessFile;
  private readonly archive: ZipArchive;

  /** @throws WeightsError where the file cannot be opened or is not a zip archive; ImageError `npy/unsupported` where it holds no array */
  constructor(readonly path: string) {
    this.file = new RandomAccessFile(path);
    try {
      this.archive = new ZipArchive(this.file);
      this.names = [...this.archive.entries.keys()]
        .filter((name) => name.endsWith('.npy'))
        .map((name) => name.slice(0, -'.npy'.length));
      if (this.names.length === 0)
        throw new ImageError('npy/unsupported', `${path}: contains no NPY array. Save it with numpy.savez.`, { path });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** @throws ImageError as `decodeNpy`; WeightsError where the archive is damaged */
  read(name: string): NpyArray {
    const entry = this.archive.entries.get(`${name}.npy`);
    if (entry === undefined)
      throw new ImageError('npy/not-found', `${this.path}: has no array "${name}"; it has ${this.names.join(', ')}`, {
        path: this.path,
        name,
      });
    return decodeNpy(this.archive.contents(entry, LARGEST_ARRAY), `${this.path}#${name}`);
  }

  close(): void {
    this.file.close();
  }
}
