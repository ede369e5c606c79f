/**
 * Writes the trimmed set of golden numbers that the repository carries (tests/goldens) from the complete one:
 *
 *     node -r ts-node/register/transpile-only tests/tools/trim-goldens.ts <complete set> tests/goldens
 *
 * It leaves out what is large (the same network in three more file formats) and what is not ours to copy (published
 * checkpoints). The token table keeps the rows of the words
 * that tests use. Files read only through `golden()` are compressed. The same input gives the same files.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as zlib from 'node:zlib';

/** Tests open these as files of their own; every other safetensors file is compressed. */
const AS_FILES = ['clip_tiny.safetensors', 'formats.safetensors'];

const COPIED = [
  'clip_tiny_hf_config.json',
  'metrics.json',
  'prompts_tiny.pth',
  'prompts_train_start.pth',
  'tokenizer.json',
  'torch_zoo.json',
  'torch_zoo.pth',
  'torch_zoo_legacy.pth',
  'published/published.json',
  'images',
  'e2e',
  'vfm_dino.safetensors',
  'vfm_dinov2.safetensors',
  'vfm_dinov2_f16.pth',
  'vfm_sam.safetensors',
];

const TRIMMED = [
  'clip_tiny',
  'dattn',
  'e2e',
  'formats',
  'image_transform',
  'losses',
  'metrics',
  'prompts',
  'scoring',
  'train',
  'units',
  'vision',
].map((name) => `${name}.safetensors`);

const TOKEN_TABLE = 'token_embedding.weight';

interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}
type Tensors = ReadonlyMap<string, Tensor>;

interface Manifest {
  /** Lengths of the files of the complete set. */
  readonly files?: unknown;
  readonly cases: readonly unknown[];
}

function readTensors(file: string): Tensors {
  const bytes = fs.readFileSync(file);
  const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, dataStart)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => [name, { dtype, shape, bytes: bytes.subarray(dataStart + begin, dataStart + end) }],
      ),
  );
}

function writeTensors(tensors: Tensors): Buffer {
  let at = 0;
  const header = Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, bytes }]) => [
      name,
      { dtype, shape, data_offsets: [at, (at += bytes.length)] },
    ]),
  );
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...[...tensors.values()].map(({ bytes }) => bytes)]);
}

/** Every id in contexts of 77 tokens, the prompts, the texts of the tests, and the padding; and in sentences of other methods. */
function usedTokenIds(from: string): number[] {
  const whole = ['prompts.safetensors', 'formats.safetensors']
    .flatMap((file) => [...readTensors(path.join(from, file)).values()])
    .filter(({ dtype, shape }) => dtype === 'I32' && shape.at(-1) === 77);
  const sentences = [...readTensors(path.join(from, 'winclip/text.safetensors'))]
    .filter(([name]) => name.endsWith('.ids'))
    .map(([, tensor]) => tensor);
  const contexts = [...whole, ...sentences];
  const ids = contexts.flatMap(({ bytes }) =>
    Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readInt32LE(index * 4)),
  );
  return [...new Set(ids)].sort((a, b) => a - b);
}

/** The network with some rows of its token table, and their ids beside it, as lib/weights/clip-weights.ts reads them. */
function cutVocabulary(network: Tensors, ids: readonly number[]): Tensors {
  const table = network.get(TOKEN_TABLE);
  if (!table) throw new Error(`the network has no ${TOKEN_TABLE}`);
  const [rows = 0, width = 0] = table.shape;
  const rowBytes = table.bytes.length / rows;
  const cut = {
    ...table,
    shape: [ids.length, width],
    bytes: Buffer.concat(ids.map((id) => table.bytes.subarray(id * rowBytes, (id + 1) * rowBytes))),
  };
  // 32-bit numbers first, so that all begin at multiples of their length.
  const idTensor = { dtype: 'I32', shape: [ids.length], bytes: Buffer.from(Int32Array.from(ids).buffer) };
  return new Map([
    ['token_embedding.ids', idTensor],
    ...[...network].map(([name, tensor]) => [name, name === TOKEN_TABLE ? cut : tensor] as const),
  ]);
}

/** Contents only: the complete set may be read-only. */
function copy(from: string, to: string): void {
  if (fs.statSync(from).isDirectory()) {
    for (const name of fs.readdirSync(from)) copy(path.join(from, name), path.join(to, name));
    return;
  }
  fs.mkdirSync(path.dirname(to), { recursive: true });
  fs.writeFileSync(to, fs.readFileSync(from));
}

function trim(from: string, to: string): void {
  const manifest = JSON.parse(fs.readFileSync(path.join(from, 'manifest.json'), 'utf8')) as Manifest;
  for (const name of COPIED) copy(path.join(from, name), path.join(to, name));
  for (const file of TRIMMED) {
    const all = readTensors(path.join(from, file));
    const some = file.startsWith('clip_tiny') ? cutVocabulary(all, usedTokenIds(from)) : all;
    const bytes = writeTensors(some);
    if (AS_FILES.includes(file)) fs.writeFileSync(path.join(to, file), bytes);
    else fs.writeFileSync(path.join(to, `${file}.gz`), zlib.gzipSync(bytes, { level: 9 }));
  }
  const { files: _, ...rest } = manifest;
  const cases = manifest.cases.map((item) => `\n${JSON.stringify(item)}`).join(',');
  const text = JSON.stringify({ ...rest, cases: [] }).replace('"cases":[]', () => `"cases":[${cases}\n]`);
  fs.writeFileSync(path.join(to, 'manifest.json'), `${text}\n`);
}

/** What the tests read of WinCLIP's: zero-shot, sentences of one class, the larger grid at one temperature. */
const WINCLIP = {
  cases: /^(text|windows|units\/harmonic|zero_shot\/size56|zero_shot\/size98$|e2e\/zero_shot$)/,
  tensors: {
    text: /\.(unit|repo_unit)$/,
    units: /^h/,
    scores: /^s56\.(images$|zero\.)|^s98\.(images|pos)$|^s98\.zero\.(?!t0)/,
    e2e: /^zero_shot\.(scores|maps)$/,
  },
} as const;

function trimWinclip(from: string, to: string): void {
  fs.mkdirSync(to, { recursive: true });
  const { cases, ...manifest } = JSON.parse(fs.readFileSync(path.join(from, 'manifest.json'), 'utf8')) as {
    cases: { id: string }[];
  };
  const kept = cases.filter(({ id }) => WINCLIP.cases.test(id)).map((item) => `\n${JSON.stringify(item)}`);
  const { files: _, ...rest } = manifest as { files?: unknown };
  const text = JSON.stringify({ ...rest, cases: [] }).replace('"cases":[]', () => `"cases":[${kept.join(',')}\n]`);
  fs.writeFileSync(path.join(to, 'manifest.json'), `${text}\n`);
  for (const [file, names] of Object.entries(WINCLIP.tensors)) {
    const some = [...readTensors(path.join(from, `${file}.safetensors`))].filter(([name]) => names.test(name));
    const bytes = writeTensors(new Map(some));
    fs.writeFileSync(path.join(to, `${file}.safetensors.gz`), zlib.gzipSync(bytes, { level: 9 }));
  }
  copy(path.join(from, 'windows.json'), path.join(to, 'windows.json'));
  const prompts = JSON.parse(fs.readFileSync(path.join(from, 'prompts.json'), 'utf8')) as Record<
    string,
    { classes: Record<string, unknown> }
  >;
  const ofOneClass = ['anomalib', 'winclip_repo'].map((set) => {
    const { weave } = (prompts[set] as { classes: Record<string, unknown> }).classes;
    return [set, { classes: { weave } }];
  });
  fs.writeFileSync(path.join(to, 'prompts.json'), `${JSON.stringify(Object.fromEntries(ofOneClass))}\n`);
}

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined)
  throw new Error('wanted: the folder of the complete set, and the folder to write');
trim(from, to);
trimWinclip(path.join(from, 'winclip'), path.join(to, 'winclip'));
