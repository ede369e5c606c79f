import { createHash } from 'node:crypto';
import type { Sample } from '../datasets/sample';
import { ImageError } from '../lib/errors';
import { decodeImage } from '../lib/image/decode';
import { readBytes } from '../lib/image/input';
import { preprocessImage, preprocessMask, type Preprocessing } from '../lib/image/preprocess';
import type { MemoryClaim } from '../lib/memory-budget';

/** One image and its mask as the network and the loss take them. */
export interface NetworkInput {
  readonly pixels: Float32Array; // [S, S, 3], normalised
  readonly mask: Uint8Array; // [S, S], 1 where anomalous
}

/**
 * A sample that is made of files in another way than one image and its mask, such as a mosaic of four. It is cached like
 * any other, under what its files hold and its recipe.
 */
export interface ComposedSample extends Sample {
  /** All files that it is made from; null stands for one that is not there, such as the mask of a normal image. */
  readonly files: readonly (string | null)[];
  /** What is made of the files, in words that are equal only where the same is made: `mosaic 1, order 2013`. Not empty. */
  readonly recipe: string;
  /** @param contents of the files, in their order */
  compose(
    contents: readonly (Uint8Array | null)[],
    size: number,
    preprocessing: Preprocessing,
    memory?: MemoryClaim,
  ): Promise<NetworkInput>;
}

/** What a sample's features are known by. */
export interface SampleIdentity {
  readonly recipe: string;
  /** sha256 of each file's bytes. */
  readonly hashes: readonly (string | null)[];
}

/** What a sample is made from. */
export interface SampleContent extends SampleIdentity {
  readonly contents: readonly (Uint8Array | null)[];
}

function isComposed(sample: Sample): sample is ComposedSample {
  return 'compose' in sample;
}

/**
 * Reads a sample's files.
 * @param memory is asked for what they take
 * @throws ImageError `image/not-found`, `image/unreadable`
 */
export async function readSample(sample: Sample, memory?: MemoryClaim): Promise<SampleContent> {
  const files = isComposed(sample) ? sample.files : [sample.imagePath, sample.maskPath];
  const contents = await Promise.all(
    files.map(async (file) => (file === null ? null : await readBytes(file, memory ? { memory } : {}))),
  );
  return {
    contents,
    recipe: isComposed(sample) ? sample.recipe : '',
    hashes: contents.map((content) => content && createHash('sha256').update(content).digest('hex')),
  };
}

/**
 * Decodes what `readSample` read.
 * @param size S, side of the network input in pixels
 * @param memory is asked for what the pixels take
 * @throws ImageError for an image or mask that cannot be decoded
 */
export async function decodeSample(
  sample: Sample,
  contents: SampleContent['contents'],
  size: number,
  preprocessing: Preprocessing,
  memory?: MemoryClaim,
): Promise<NetworkInput> {
  if (isComposed(sample)) return sample.compose(contents, size, preprocessing, memory);
  const [image, mask] = contents as [Uint8Array, Uint8Array | null];
  const { reference, ...rule } = preprocessing;
  const target = { width: size, height: size };
  const reading = { reference, ...(memory ? { memory } : {}) };
  const decoded = await naming(sample.imagePath, image, () => decodeImage(image, reading));
  return {
    pixels: preprocessImage(decoded, { ...target, ...rule }),
    mask:
      mask === null
        ? await preprocessMask(undefined, target)
        : await naming(sample.maskPath as string, mask, () =>
            preprocessMask(mask, target, { ...reading, image: decoded }),
          ),
  };
}

/** Runs a decoder of bytes whose errors are to name the file that the bytes are of. */
export async function naming<T>(file: string, bytes: Uint8Array, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    const unnamed = `a buffer of ${bytes.byteLength} bytes`;
    throw new ImageError(
      error.code,
      error.message.replace(unnamed, () => file),
      { ...error.data, source: file },
      { cause: error.cause },
    );
  }
}
