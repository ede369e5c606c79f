import * as fs from 'node:fs';
import * as path from 'node:path';
import { WeightsError } from '../errors';
import { RandomAccessFile, readBytes } from '../files/byte-section';
import { readJsonFile } from './json-file';
import { openSafetensors } from './safetensors';
import { ShardedTensorSource } from './sharded';
import { shownName } from '../files/shown-name';
import type { TensorSource } from './tensor-source';
import { LEGACY_START, openTorchLegacy, openTorchZip } from './torch-checkpoint';

/**
 * Opens a weights file or a HuggingFace folder. The format is told by the first bytes, not by the name: safetensors,
 * torch zip (`.pt .pth .bin`), TorchScript archive, or the torch format before 1.6.
 * Only names and places are read; tensors follow one by one. Close the source when done.
 * @throws WeightsError where the path is missing, or the content is damaged, unsafe or of an unknown kind
 */
export function openTensors(source: string): Promise<TensorSource> {
  // Opening is a few short reads; the promise leaves room for sources that are not local.
  return new Promise((resolve) => resolve(openTensorsSync(source)));
}

/** `openTensors` without the promise. */
export function openTensorsSync(source: string): TensorSource {
  let stats: fs.Stats;
  try {
    stats = fs.statSync(source);
  } catch (cause) {
    const isLoop = (cause as NodeJS.ErrnoException).code === 'ELOOP';
    throw new WeightsError(
      'weights/not-found',
      `there is no weights file or folder ${JSON.stringify(source)} that can be read (${isLoop ? 'it is a link that leads back to itself' : `working folder ${process.cwd()}`})`,
      { path: source },
      { cause },
    );
  }
  return stats.isDirectory() ? openFolder(source) : openFile(source);
}

const isZip = (head: Uint8Array): boolean => head[0] === 0x50 && head[1] === 0x4b && head[2] === 3 && head[3] === 4;
const isLegacy = (head: Uint8Array): boolean => LEGACY_START.every((byte, index) => head[index] === byte);
/** Eight bytes of length, then the brace that opens the JSON header. */
const isSafetensors = (head: Uint8Array): boolean => head[8] === 0x7b && head[6] === 0 && head[7] === 0;

function openFile(file: string): TensorSource {
  const opened = new RandomAccessFile(file);
  try {
    if (opened.size === 0) throw new WeightsError('weights/truncated', `${file} is empty`, { path: file });
    const head = readBytes(opened, 0, Math.min(opened.size, LEGACY_START.length));
    if (isZip(head)) return openTorchZip(opened);
    if (isLegacy(head)) return openTorchLegacy(opened);
    if (isSafetensors(head) || file.endsWith('.safetensors')) return openSafetensors(opened);
    throw unknownFormat(file, head);
  } catch (error) {
    opened.close();
    throw error;
  }
}

function unknownFormat(file: string, head: Uint8Array): WeightsError {
  const text = Buffer.from(head).toString('latin1');
  const guess = /^version http/.test(text)
    ? ' It is a Git LFS pointer: the real file was not downloaded.'
    : /^\s*</.test(text)
      ? ' It looks like a web page: the download failed.'
      : head[0] === 0x80
        ? ' It is a Python pickle, but not a checkpoint that torch.save wrote.'
        : '';
  return new WeightsError(
    'weights/format',
    `${file} is not a known weights file; safetensors, torch .pt/.pth/.bin and TorchScript archives can be read.${guess}`,
    { path: file },
  );
}

/** Names that HuggingFace folders and open_clip use, in the order in which they are preferred. */
const FOLDER_FILES = [
  'model.safetensors',
  'model.safetensors.index.json',
  'open_clip_model.safetensors',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
  'open_clip_pytorch_model.bin',
];

function openFolder(folder: string): TensorSource {
  const found = FOLDER_FILES.find((name) => fs.existsSync(path.join(folder, name)));
  if (!found) {
    throw new WeightsError(
      'weights/empty-folder',
      `${folder} holds no weights; looked for ${FOLDER_FILES.join(', ')}`,
      { path: folder },
    );
  }
  return found.endsWith('.json') ? openShards(folder, found) : openFile(path.join(folder, found));
}

/** All are open at once. */
const MOST_SHARDS = 500;

/** A model cut into several files, with an index `{ weight_map: { tensor: file } }`. */
function openShards(folder: string, index: string): TensorSource {
  const indexPath = path.join(folder, index);
  const invalid = (reason: string): WeightsError =>
    new WeightsError('weights/format', `${indexPath}: ${reason}`, { path: indexPath });
  const content = readJsonFile(indexPath);
  const map: unknown =
    typeof content === 'object' && content !== null && 'weight_map' in content ? content.weight_map : undefined;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw invalid('the index has no weight_map');
  const shardOf = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== 'string' || /[\\/\0]|^\.*$/.test(file)) {
      throw invalid(
        `tensor ${shownName(name)} is said to be in ${shownName(JSON.stringify(file))}, which is not a file of this folder`,
      );
    }
    shardOf.set(name, file);
  }
  const files = new Set(shardOf.values());
  if (files.size === 0 || files.size > MOST_SHARDS)
    throw invalid(`the index names ${files.size} files; 1 to ${MOST_SHARDS} are read`);
  const opened = new Map<string, TensorSource>();
  try {
    for (const file of files) opened.set(file, openFile(path.join(folder, file)));
    return new ShardedTensorSource(folder, shardOf, opened);
  } catch (error) {
    for (const source of opened.values()) source.close();
    throw error;
  }
}
