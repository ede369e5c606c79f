import { WeightsError } from '../errors';
import { type ByteSection, type RandomAccessFile, readBytes, subsection } from '../files/byte-section';
import { type Checkpoint, flattenCheckpoint } from './checkpoint-entries';
import { type LocatedTensor, LocatedTensorSource } from './located-tensors';
import { readPickle } from './pickle';
import { PickleBudget } from './pickle-budget';
import { PickleDict, type PickleValue } from './pickle-values';
import { shownName } from '../files/shown-name';
import type { LeftOut, TensorSource } from './tensor-source';
import { type TorchWorld, torchWorld } from './torch-values';
import { ZipArchive } from '../files/zip';

/** A pickle describes tensors, it does not hold them: those of the largest published models have under 2 MB. */
const LARGEST_PICKLE = 32 << 20;
/** "little" or "big". */
const LARGEST_BYTE_ORDER = 64;
/** Storages that were compressed by hand, together: more than any network here, and no disk is filled by writing them. */
const MOST_INFLATED = 2 ** 33;

/** A torch checkpoint, with the values stored beside its tensors. */
export class TorchCheckpointSource extends LocatedTensorSource {
  constructor(
    path: string,
    format: TensorSource['format'],
    tensors: ReadonlyMap<string, LocatedTensor>,
    /** Values that are not tensors, such as `epoch`, by dotted name. */
    readonly plain: ReadonlyMap<string, PickleValue>,
    leftOut: ReadonlyMap<string, LeftOut>,
    close: () => void,
  ) {
    super(path, format, tensors, {}, close, leftOut);
  }
}

/**
 * Opens what `torch.save` (since 1.6) or `torch.jit.save` wrote: a zip archive with a pickle `data.pkl`, one record per
 * storage, and, for TorchScript, code, which is not looked at. Attributes of TorchScript modules get the names of their
 * state dict.
 * @throws WeightsError
 */
export function openTorchZip(file: RandomAccessFile): TorchCheckpointSource {
  const archive = new ZipArchive(file);
  const root = archiveRoot(archive, file.path);
  const record = (name: string): ByteSection | undefined => {
    const entry = archive.entries.get(`${root}${name}`);
    return entry && archive.section(entry);
  };
  const small = (name: string, largest: number): Uint8Array | undefined => {
    const entry = archive.entries.get(`${root}${name}`);
    return entry && archive.contents(entry, largest);
  };
  const inflated = [...archive.entries.values()].reduce((sum, { deflated, size }) => sum + (deflated ? size : 0), 0);
  if (inflated > MOST_INFLATED) {
    throw new WeightsError(
      'weights/limit',
      `${file.path} is compressed and would inflate to ${inflated} bytes; save it without compression`,
      { path: file.path, inflated },
    );
  }
  const byteOrder = small('byteorder', LARGEST_BYTE_ORDER);
  if (byteOrder && Buffer.from(byteOrder).toString('latin1').trim() !== 'little') {
    throw new WeightsError(
      'weights/byte-order',
      `${file.path} was saved on a big-endian machine; save it again on a little-endian one`,
      { path: file.path },
    );
  }
  const isScript = archive.entries.has(`${root}constants.pkl`);
  const pickle = small('data.pkl', LARGEST_PICKLE) as Uint8Array;
  const checkpoint = withPath(file.path, () =>
    flattenCheckpoint(readPickle(pickle, torchWorld({ scriptClasses: isScript })).value),
  );
  const sections = new Map<string, ByteSection | undefined>();
  const sectionOf = (key: string): ByteSection | undefined => {
    if (!sections.has(key)) sections.set(key, record(`data/${key}`));
    return sections.get(key);
  };
  return sourceOf(file, isScript ? 'torchscript' : 'torch-zip', checkpoint, sectionOf);
}

/** The folder inside the archive that holds everything, named after the file it was first saved as. */
function archiveRoot(archive: ZipArchive, path: string): string {
  const roots = [...archive.entries.keys()]
    .filter((name) => /^(?:[^/]+\/)?data\.pkl$/.test(name))
    .map((name) => name.slice(0, -'data.pkl'.length));
  const [root] = roots;
  if (root === undefined || roots.length > 1) {
    const why = root === undefined ? 'holds no data.pkl' : `holds ${roots.length} files named data.pkl`;
    throw new WeightsError('weights/format', `${path} is a zip archive, but not one that PyTorch wrote: it ${why}`, {
      path,
    });
  }
  return root;
}

/** The first pickle of a file that PyTorch wrote before 1.6: protocol 2 and this number. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;

/** How a file of the format before PyTorch 1.6 begins. */
export const LEGACY_START = Uint8Array.of(
  0x80,
  0x02,
  0x8a,
  0x0a,
  0x6c,
  0xfc,
  0x9c,
  0x46,
  0xf9,
  0x20,
  0x6a,
  0xa8,
  0x50,
  0x19,
  0x2e,
);

/**
 * Opens what PyTorch wrote before 1.6: five pickles (a magic number, the protocol, the machine, the values, the order of
 * the storages), then each storage after an eight-byte count.
 * @throws WeightsError
 */
export function openTorchLegacy(file: RandomAccessFile): TorchCheckpointSource {
  return withPath(file.path, () => {
    const head = readBytes(file, 0, Math.min(file.size, LARGEST_PICKLE));
    const world = torchWorld({ scriptClasses: false });
    const budget = new PickleBudget();
    let at = 0;
    const next = (): PickleValue => {
      const { value, end } = readPickle(head, world, at, budget);
      at = end;
      return value;
    };
    const [magic, protocol, machine, values, order] = [next(), next(), next(), next(), next()];
    if (magic !== LEGACY_MAGIC || protocol !== 1001) {
      throw new WeightsError(
        'weights/format',
        `an unknown magic number or protocol ${typeof protocol === 'number' ? protocol : `of type ${typeof protocol}`}; 1001 is read`,
      );
    }
    if (!(machine instanceof PickleDict) || machine.get('little_endian') !== true) {
      throw new WeightsError(
        'weights/byte-order',
        'it was saved on a big-endian machine; save it again on a little-endian one',
      );
    }
    const checkpoint = flattenCheckpoint(values);
    return sourceOf(file, 'torch-legacy', checkpoint, legacyStorages(file, at, order, world));
  });
}

function legacyStorages(
  file: RandomAccessFile,
  start: number,
  order: PickleValue,
  { storages }: TorchWorld,
): (key: string) => ByteSection | undefined {
  const sections = new Map<string, ByteSection>();
  if (!Array.isArray(order)) throw new WeightsError('weights/format', 'its list of storages is not a list');
  let at = start;
  for (const key of order as readonly PickleValue[]) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage || sections.has(storage.key))
      throw new WeightsError('weights/format', 'it lists a storage twice, or one that no tensor uses');
    const { bytes: size } = storage;
    if (size === undefined)
      throw new WeightsError(
        'weights/format',
        `a storage of type ${shownName(storage.type)}, of unknown size, precedes others; save it again with a current PyTorch`,
      );
    const count = Number(Buffer.from(readBytes(file, at, 8)).readBigInt64LE(0));
    if (count !== storage.count) {
      throw new WeightsError(
        'weights/format',
        `storage ${shownName(storage.key)} has ${count} values, but ${storage.count} are announced`,
      );
    }
    if (at + 8 + size > file.size) {
      throw new WeightsError(
        'weights/truncated',
        `storage ${shownName(storage.key)} ends at byte ${at + 8 + size} of a file of ${file.size}`,
      );
    }
    sections.set(storage.key, subsection(file, at + 8, size));
    at += 8 + size;
  }
  if (at !== file.size)
    throw new WeightsError('weights/format', `${file.size - at} bytes at the end belong to no storage`);
  return (key) => sections.get(key);
}

function sourceOf(
  file: RandomAccessFile,
  format: TensorSource['format'],
  checkpoint: Checkpoint,
  sectionOf: (key: string) => ByteSection | undefined,
): TorchCheckpointSource {
  return withPath(file.path, () => {
    const tensors = new Map(
      [...checkpoint.tensors].map(([name, tensor]) => [name, tensor.locate(name, sectionOf(tensor.storage.key))]),
    );
    return new TorchCheckpointSource(file.path, format, tensors, checkpoint.plain, checkpoint.leftOut, () =>
      file.close(),
    );
  });
}

/** Puts the file's path in front of errors that were found too deep inside to know it. */
function withPath<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof WeightsError) || error.data['path'] === path) throw error;
    throw new WeightsError(error.code, `${path}: ${error.message}`, { ...error.data, path }, { cause: error });
  }
}
