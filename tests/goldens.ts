import * as fs from 'node:fs';
import * as path from 'node:path';

/**
 * The folder of golden numbers: what the reference program computes on small seeded networks. Looked for at
 * `CRANE_GOLDENS`, else in `shared/goldens` beside the checkout.
 */
export const goldensFolder: string | undefined = [
  process.env['CRANE_GOLDENS'],
  path.resolve(__dirname, '../../shared/goldens'),
].find((folder): folder is string => folder !== undefined && fs.existsSync(path.join(folder, 'manifest.json')));

/** Absolute path of a golden file. */
export function goldenPath(name: string): string {
  if (goldensFolder === undefined) throw new Error(`golden file ${name} wanted, but no goldens folder was found`);
  return path.join(goldensFolder, name);
}

/** `describe`, but counted as skipped, and said loudly, where the goldens are not at hand. */
export function describeWithGoldens(title: string, body: () => void): void {
  if (goldensFolder !== undefined) {
    describe(title, body);
    return;
  }
  process.stderr.write(`\nGOLDENS NOT FOUND: skipping "${title}". Set CRANE_GOLDENS to the folder that holds manifest.json.\n`);
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

/** All cases of the manifest in one group, such as "vision". */
export function goldenCases(group: string): GoldenCase[] {
  const manifest = JSON.parse(fs.readFileSync(goldenPath('manifest.json'), 'utf8')) as { cases: GoldenCase[] };
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
  const bytes = fs.readFileSync(goldenPath(file as string));
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const entry = header[name as string];
  if (!entry) throw new Error(`${file} has no tensor ${name}`);
  const raw = bytes.subarray(8 + headerLength + entry.data_offsets[0], 8 + headerLength + entry.data_offsets[1]);
  let data = decode(raw, entry.dtype);
  let shape = entry.shape;
  if (from !== undefined && to !== undefined) {
    const row = shape.slice(1).reduce((product, n) => product * n, 1);
    data = data.slice(Number(from) * row, Number(to) * row);
    shape = [Number(to) - Number(from), ...shape.slice(1)];
  }
  return { shape, data };
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
