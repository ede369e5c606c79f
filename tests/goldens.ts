import * as fs from 'node:fs';
import * as path from 'node:path';
import * as zlib from 'node:zlib';

/**
 * The folder of golden numbers: what the reference program computes on small seeded networks. Looked for at
 * `CRANE_GOLDENS`, then in `shared/goldens` beside the checkout, where the complete set may lie, then in the
 * repository's own trimmed copy (tests/goldens/README.md).
 */
export const goldensFolder: string | undefined = [
  process.env['CRANE_GOLDENS'],
  path.resolve(__dirname, '../../shared/goldens'),
  path.resolve(__dirname, 'goldens'),
].find((folder): folder is string => !!folder && fs.existsSync(path.join(folder, 'manifest.json')));

/** Absolute path of a golden file. */
export function goldenPath(name: string): string {
  if (goldensFolder === undefined) throw new Error(`golden file ${name} wanted, but no goldens folder was found`);
  return path.join(goldensFolder, name);
}

/** Whether a golden file is available: the trimmed set lacks the large ones. */
export function hasGolden(name: string): boolean {
  return goldensFolder !== undefined && fs.existsSync(goldenPath(name));
}

/** The goldens' CLIP as a file for `Crane.load`: as OpenAI publishes it, else with the tests' words as its vocabulary. */
export function tinyBackbone(): string {
  return goldenPath(hasGolden('clip_tiny_torchscript.pt') ? 'clip_tiny_torchscript.pt' : 'clip_tiny.safetensors');
}

/** `test`, but counted as skipped, and said, where any of these golden files is missing. */
export function testWithGoldens(
  ...files: readonly string[]
): (title: string, body: () => void | Promise<void>) => void {
  const missing = files.filter((file) => !hasGolden(file) && !hasGolden(`${file}.gz`));
  return (title, body) => {
    if (missing.length > 0)
      process.stderr.write(
        `GOLDEN MISSING: skipping "${title}", which reads ${missing.join(', ')} of the complete set.\n`,
      );
    (missing.length > 0 ? test.skip : test)(title, async () => body());
  };
}

/** `test.each` over golden files: `%s` in the title stands for the file, and a row whose file is missing is skipped. */
export function testEachGolden<Rest extends unknown[]>(
  rows: readonly [file: string, ...rest: Rest][],
  title: string,
  body: (file: string, ...rest: Rest) => void | Promise<void>,
): void {
  for (const row of rows) testWithGoldens(row[0])(title.replace('%s', row[0]), () => body(...row));
}

/** `describe`, but counted as skipped, and said loudly, where the goldens are missing. */
export function describeWithGoldens(title: string, body: () => void): void {
  if (goldensFolder !== undefined) {
    describe(title, body);
    return;
  }
  process.stderr.write(
    `\nGOLDENS NOT FOUND: skipping "${title}". Set CRANE_GOLDENS to the folder that holds manifest.json.\n`,
  );
  describe.skip(title, () => {
    test('needs the golden numbers', () => undefined);
  });
}

export interface GoldenCase {
  readonly id: string;
  readonly group: string;
  readonly about: string;
  readonly config: Readonly<Record<string, never>>;
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly tolerance: Readonly<Record<string, number>>;
}

/**
 * All cases of the manifest in one group, such as "vision".
 * @param folder of another method's goldens, such as "winclip/"; its references are relative to it
 */
export function goldenCases(group: string, folder = ''): GoldenCase[] {
  const manifest = JSON.parse(fs.readFileSync(goldenPath(`${folder}manifest.json`), 'utf8')) as { cases: GoldenCase[] };
  return manifest.cases.filter((item) => item.group === group);
}

export interface GoldenTensor {
  readonly shape: number[];
  readonly data: Float32Array;
}

/**
 * Reads one tensor named as the manifest does, `file.safetensors#name[0:1]`. Written apart from the library's own
 * reader on purpose, so that a fault there cannot hide here. Every type is converted to float32.
 */
export function golden(reference: string): GoldenTensor {
  const parsed = /^(.+?)#(.+?)(?:\[(\d+):(\d+)\])?$/.exec(reference);
  if (!parsed) throw new Error(`not a golden reference: ${reference}`);
  const [, file, name, from, to] = parsed;
  const { header, data: bytes } = readGolden(file as string);
  const entry = header[name as string];
  if (!entry) throw new Error(`${file} has no tensor ${name}`);
  let data = decode(bytes.subarray(...entry.data_offsets), entry.dtype);
  let shape = entry.shape;
  if (from !== undefined && to !== undefined) {
    const row = shape.slice(1).reduce((product, n) => product * n, 1);
    data = data.slice(Number(from) * row, Number(to) * row);
    shape = [Number(to) - Number(from), ...shape.slice(1)];
  }
  return { shape, data };
}

/** Vocabulary ids of the rows of a golden CLIP's token table; undefined where it has the whole vocabulary. */
export function goldenTokenIds(file: string): number[] | undefined {
  const ids = 'token_embedding.ids';
  return ids in readGolden(file).header ? Array.from(golden(`${file}#${ids}`).data) : undefined;
}

interface GoldenEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [begin: number, end: number];
}

function readGolden(file: string): { header: Record<string, GoldenEntry>; data: Buffer } {
  // The trimmed set compresses what is read in this way only.
  const bytes = hasGolden(file)
    ? fs.readFileSync(goldenPath(file))
    : zlib.gunzipSync(fs.readFileSync(goldenPath(`${file}.gz`)));
  const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
  return {
    header: JSON.parse(bytes.toString('utf8', 8, dataStart)) as Record<string, GoldenEntry>,
    data: bytes.subarray(dataStart),
  };
}

function decode(raw: Buffer, dtype: string): Float32Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const readers: Record<string, [number, (at: number) => number]> = {
    F64: [8, (at) => view.getFloat64(at, true)],
    F32: [4, (at) => view.getFloat32(at, true)],
    F16: [2, (at) => halfToNumber(view.getUint16(at, true))],
    I64: [8, (at) => Number(view.getBigInt64(at, true))],
    I32: [4, (at) => view.getInt32(at, true)],
    U8: [1, (at) => view.getUint8(at)],
    I8: [1, (at) => view.getInt8(at)],
    BOOL: [1, (at) => view.getUint8(at)],
  };
  const reader = readers[dtype];
  if (!reader) throw new Error(`golden of type ${dtype}`);
  const [size, read] = reader;
  return Float32Array.from({ length: raw.byteLength / size }, (_, index) => read(index * size));
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Fails with the worst element when any `|got - want| > atol + rtol * |want|`. */
export function expectClose(got: ArrayLike<number>, want: ArrayLike<number>, atol: number, rtol = 0): void {
  expect(got.length).toBe(want.length);
  let worst = -Infinity;
  let at = -1;
  for (let index = 0; index < want.length; index++) {
    const difference = Math.abs(Number(got[index]) - Number(want[index]));
    const excess = difference - (atol + rtol * Math.abs(Number(want[index])));
    if (!(excess <= worst)) {
      worst = excess;
      at = index;
    }
  }
  if (!(worst <= 0)) {
    throw new Error(`element ${at}: got ${got[at]}, want ${want[at]} (allowed ${atol} + ${rtol} * |want|)`);
  }
}
