import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import type { Sample } from '../datasets/sample';
import { ImageError } from '../lib/errors';
import { decodeImage } from '../lib/image/decode';
import { preprocessImage, preprocessMask, type Preprocessing } from '../lib/image/preprocess';

/** One image and its mask as the network and the loss take them. */
export interface NetworkInput {
  readonly pixels: Float32Array; // [S, S, 3], normalised
  readonly mask: Uint8Array; // [S, S], 1 where anomalous
}

/**
 * A sample that is made of files in another way than one picture and its mask, such as a mosaic of four. It is cached like
 * any other, under what its files hold and its recipe.
 */
export interface ComposedSample extends Sample {
  /** All files that it is made from; null stands for one that is not there, such as the mask of a normal image. */
  readonly files: readonly (string | null)[];
  /** What is made of the files, in words that are equal only where the same is made: `mosaic 1, order 2013`. Not empty. */
  readonly recipe: string;
  /** @param contents of the files, in their order */
  compose(contents: readonly (Uint8Array | null)[], size: number, preprocessing: Preprocessing): Promise<NetworkInput>;
}

/** What a sample is made from, and what its features are known by. */
export interface SampleContent {
  readonly contents: readonly (Uint8Array | null)[];
  readonly recipe: string;
  /** sha256 of each file's bytes. */
  readonly hashes: readonly (string | null)[];
}

function isComposed(sample: Sample): sample is ComposedSample {
  return 'compose' in sample;
}

/**
 * Reads a sample's files.
 * @throws ImageError `image/not-found`, `image/unreadable`
 */
export async function readSample(sample: Sample): Promise<SampleContent> {
  const files = isComposed(sample) ? sample.files : [sample.imagePath, sample.maskPath];
  const contents = await Promise.all(files.map(async (file) => (file === null ? null : await readFile(file))));
  return {
    contents,
    recipe: isComposed(sample) ? sample.recipe : '',
    hashes: contents.map((content) => content && createHash('sha256').update(content).digest('hex')),
  };
}

/**
 * Decodes what `readSample` read.
 * @param size S, side of the network input in pixels
 * @throws ImageError for a picture or mask that cannot be decoded
 */
export async function decodeSample(sample: Sample, contents: SampleContent['contents'], size: number, preprocessing: Preprocessing): Promise<NetworkInput> {
  if (isComposed(sample)) return sample.compose(contents, size, preprocessing);
  const [image, mask] = contents as [Uint8Array, Uint8Array | null];
  const { reference, ...rule } = preprocessing;
  const target = { width: size, height: size };
  const decoded = await naming(sample.imagePath, image, () => decodeImage(image, { reference }));
  return {
    pixels: preprocessImage(decoded, { ...target, ...rule }),
    mask: mask === null
      ? await preprocessMask(undefined, target)
      : await naming(sample.maskPath as string, mask, () => preprocessMask(mask, target, { reference })),
  };
}

/** Runs a decoder of bytes whose errors are to name the file that the bytes are of. */
export async function naming<T>(file: string, bytes: Uint8Array, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    const unnamed = `a buffer of ${bytes.byteLength} bytes`;
    throw new ImageError(error.code, error.message.replace(unnamed, () => file), { ...error.data, source: file }, { cause: error.cause });
  }
}

async function readFile(file: string): Promise<Uint8Array> {
  try {
    return await fs.promises.readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new ImageError('image/not-found', `${file}: no such file; it was there when the set was listed`, { source: file }, { cause: error });
    throw new ImageError('image/unreadable', `${file}: cannot be read (${code}). Check the rights on the file.`, { source: file, code }, { cause: error });
  }
}
