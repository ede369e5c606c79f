import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as zlib from 'node:zlib';
import { openTensors, openTensorsSync } from '../../lib/weights/open';
import { runCrane } from '../cli/run-crane';
import { checkpoint, op, pickle, scratchFolder, tensor, torchZip, uint32, weightsError, zip } from './archives';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

let counter = 0;
const repeated = (part: Buffer, times: number): Buffer => Buffer.concat(new Array<Buffer>(times).fill(part));
/** As an attacker sends it: a few kilobytes that inflate. */
const packed = (...parts: readonly Buffer[]): string =>
  scratch.file(
    `bomb-${counter++}.pt`,
    zip([
      { name: 'x/data.pkl', content: pickle(...parts), packed: true },
      { name: 'x/data/0', content: Buffer.alloc(24) },
    ]),
  );
const million = (code: string, times = 1_000_000): Buffer => Buffer.alloc(times * code.length, code, 'latin1');

// Of each a hundredth or more of what was tried by hand, and far beyond what any checkpoint holds.
test.each<[string, Buffer[]]>([
  ['empty dictionaries', [op.code(']'), million('}a')]],
  ['empty dictionaries that are dropped again', [million('}0'), op.code('N')]],
  ['empty lists', [million('(]0t0', 2_000_000), op.code('N')]],
  ['tuples of the same', [op.code('N'), million('2\x86', 900_000)]],
  ['values under new numbers in the memo', [op.code('N'), million('\x94', 1_500_000)]],
  ['long integers', [million('\x8a\x09ABCDEFGHI0', 400_000), op.code('N')]],
  ['objects of other programs', [op.global('a', 'b'), op.code('q\x010'), million('h\x01)R0', 400_000), op.code('N')]],
  [
    'copies of a dictionary',
    [
      op.code('('),
      ...Array.from({ length: 1000 }, (_, index) => Buffer.concat([op.code('('), op.text(`k${index}`), op.code('Nt')])),
      op.code('tq\x01\x85q\x020'),
      op.global('collections', 'OrderedDict'),
      op.code('q\x030'),
      million('h\x03h\x02R0', 5000),
      op.code('N'),
    ],
  ],
  [
    'addresses of one storage',
    [
      op.code('('),
      op.text('storage'),
      op.global('torch', 'FloatStorage'),
      op.text('0'),
      op.text('cpu'),
      op.int(6),
      op.code('tq\x010'),
      million('h\x01Q0', 400_000),
      op.code('N'),
    ],
  ],
  ['names of one tensor', [op.code(']('), tensor({}), op.code('q\x01'), million('h\x01', 200_000), op.code('e')]],
  [
    'dictionaries that double a tensor',
    [
      tensor({}),
      ...Array.from({ length: 30 }, () =>
        Buffer.concat([
          Buffer.of(0x71, 1),
          op.code('0}('),
          op.text('a'),
          op.code('h\x01'),
          op.text('b'),
          op.code('h\x01u'),
        ]),
      ),
    ],
  ],
  ['an integer of megabytes', [Buffer.of(0x8b), uint32(1 << 20), Buffer.alloc(1 << 20)]],
])(
  'a pickle of millions of %s is stopped',
  async (_, parts) => {
    expect((await weightsError(() => openTensors(packed(...parts)))).code).toBe('weights/limit');
  },
  120_000,
);

test('a key of megabytes over hundreds of tensors is stopped, and cut in the message', async () => {
  const shared = Array.from({ length: 300 }, (_, index) =>
    Buffer.concat([
      op.text(`t${index}`),
      index === 0 ? Buffer.concat([tensor({}), op.code('q\x01')]) : op.code('h\x01'),
    ]),
  );
  const error = await weightsError(() =>
    openTensors(packed(op.code('}('), op.text('k'.repeat(1 << 20)), op.code('}('), ...shared, op.code('uu'))),
  );
  expect(error.code).toBe('weights/limit');
  expect(error.message.length).toBeLessThan(500);
});

test('what is plain beside weights may be long, and shared as often as it likes', () => {
  const doubled = Array.from({ length: 50 }, (_, level) =>
    Buffer.concat([Buffer.of(0x71, level + 2), Buffer.of(0x68, level + 2), op.code('\x86')]),
  );
  const file = packed(
    op.code('}('),
    op.text('w'),
    tensor({}),
    op.text('history'),
    op.code(']('),
    million('K\x01', 500_000),
    op.code('e'),
    op.text('shared'),
    op.code(')'),
    ...doubled,
    op.code('u'),
  );
  const source = openTensorsSync(file);
  expect([...source.entries.keys()]).toEqual(['w']);
  expect(source.leftOut.size).toBe(0);
  source.close();
}, 120_000);

describe('compressed storages', () => {
  const views = (bytes: number, count: number): Buffer[] =>
    Array.from({ length: count }, (_, index) =>
      Buffer.concat([
        op.text(`t${index}`),
        tensor({ key: String(index), count: bytes / 4, shape: [bytes / 4], strides: [1] }),
      ]),
    );
  const file = (bytes: number, count: number, lie?: number): Buffer => {
    const content = Buffer.alloc(bytes, 1);
    const files = Array.from({ length: count }, (_, index) => ({
      name: `x/data/${index}`,
      content,
      packed: true,
      ...(lie !== undefined && { lie: { size: lie } }),
    }));
    return torchZip(pickle(op.code('}('), ...views(lie ?? bytes, count), op.code('u')), files);
  };

  test('are inflated when they are asked for, in any order', async () => {
    const source = openTensorsSync(scratch.file('packed.pt', file(1 << 16, 3)));
    const one = new Uint32Array(Float32Array.from(source.read('t2')).buffer);
    expect(one.length).toBe(1 << 14);
    expect(one.every((bits) => bits === 0x01010101)).toBe(true);
    expect(source.read('t0')).toEqual(source.read('t2'));
    source.close();
    // Nothing of a damaged one is looked at before.
    const damaged = file(1 << 16, 2);
    const start = damaged.indexOf('x/data/1') + 8;
    damaged.fill(0xff, start, start + 20);
    const other = openTensorsSync(scratch.file('damaged.pt', damaged));
    expect(other.read('t0').length).toBe(1 << 14);
    expect((await weightsError(() => other.read('t1'))).message).toContain('does not inflate');
    other.close();
  });

  test('that lie about their length are refused, whichever way', async () => {
    for (const lie of [1 << 12, 1 << 20]) {
      const source = openTensorsSync(scratch.file('lie.pt', file(1 << 16, 1, lie)));
      expect((await weightsError(() => source.read('t0'))).message).toContain(`does not inflate to the ${lie} bytes`);
      source.close();
    }
  });

  test('of gigabytes together are refused before any is inflated', async () => {
    const content = Buffer.alloc(1000);
    const files = Array.from({ length: 10 }, (_, index) => ({
      name: `x/data/${index}`,
      content,
      packed: true,
      zip64: true,
      lie: { size: 2 ** 30 },
    }));
    const bytes = torchZip(pickle(op.code('}('), ...views(2 ** 30, 10), op.code('u')), files);
    expect((await weightsError(() => openTensorsSync(scratch.file('huge.pt', bytes)))).message).toMatch(
      /would inflate to 10737418240 bytes/,
    );
    const single = torchZip(pickle(op.code('}('), ...views(2 ** 30, 1), op.code('u')), files.slice(0, 1));
    expect((await weightsError(() => openTensorsSync(scratch.file('large.pt', single)))).code).toBe('weights/limit');
  });
});

describe('safetensors headers', () => {
  const open = (header: string): Promise<unknown> => {
    const json = Buffer.from(header);
    return openTensors(scratch.file('header.safetensors', Buffer.concat([uint32(json.length), uint32(0), json])));
  };

  test.each<[string, string]>([
    ['a million lists', `{"a":[${'[],'.repeat(1_000_000)}[]]}`],
    [
      'a million tensors',
      `{${Array.from({ length: 100_000 }, (_, index) => `"t${index}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join()}}`,
    ],
    ['hundreds of thousands of keys', `{${Array.from({ length: 300_000 }, (_, index) => `"${index}":1`).join()}}`],
    ['lists in lists without end', `{"a":${'['.repeat(1_000_000)}`],
  ])(
    'of %s are not read',
    async (_, header) => {
      expect((await weightsError(() => open(header))).message).toMatch(/, and is not read/);
    },
    60_000,
  );

  test('of names of megabytes are cut in the message', async () => {
    const error = await weightsError(() =>
      open(`{"${'n'.repeat(1 << 20)}":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`),
    );
    expect(error.message.length).toBeLessThan(500);
  });
});

test('a file of holes is refused where a tensor of terabytes is read', async () => {
  const bytes = 2 ** 41;
  const json = Buffer.from(
    JSON.stringify({ a: { dtype: 'F32', shape: [bytes / 4 / 4, 4], data_offsets: [0, bytes] } }),
  );
  const file = scratch.file('holes.safetensors', Buffer.concat([uint32(json.length), uint32(0), json]));
  try {
    fs.truncateSync(file, 8 + json.length + bytes);
  } catch {
    return; // A file system without such files.
  }
  const source = openTensorsSync(file);
  for (const read of [() => source.read('a'), () => source.readDoubles('a')])
    expect((await weightsError(read)).code).toBe('weights/limit');
  source.close();
  fs.rmSync(file);
});

describe('an index of shards', () => {
  const folderOf = (index: string | undefined): string => {
    const folder = fs.mkdtempSync(path.join(scratch.folder, 'shards-'));
    if (index !== undefined) fs.writeFileSync(path.join(folder, 'model.safetensors.index.json'), index);
    return folder;
  };

  test.each<[string, string, RegExp]>([
    ['names itself', '{"weight_map":{"a":"model.safetensors.index.json"}}', /not a known weights file/],
    ['leads out of the folder', '{"weight_map":{"a":"../x.safetensors"}}', /not a file of this folder/],
    [
      'names a tensor twice',
      '{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}',
      /same key twice in one object: a/,
    ],
    [
      'names thousands of files',
      `{"weight_map":{${Array.from({ length: 2000 }, (_, index) => `"t${index}":"${index}.bin"`).join()}}}`,
      /names 2000 files/,
    ],
    ['names none', '{"weight_map":{}}', /names 0 files/],
    ['is larger than any index', `{"weight_map":{"a":"${'x'.repeat(11_000_000)}"}}`, /at most 10000000 are read/],
  ])('that %s is refused', async (_, index, message) => {
    expect((await weightsError(() => openTensors(folderOf(index)))).message).toMatch(message);
  });

  test('that is a pipe is refused without waiting', async () => {
    const folder = folderOf(undefined);
    execFileSync('mkfifo', [path.join(folder, 'model.safetensors.index.json')]);
    expect((await weightsError(() => openTensors(folder))).message).toContain('not a regular file');
  });
});

describe('inspect and convert end with one sentence and 1', () => {
  const pipe = path.join(scratch.folder, 'pipe.pt');
  const loop = path.join(scratch.folder, 'loop.pt');
  beforeAll(() => {
    execFileSync('mkfifo', [pipe]);
    fs.symlinkSync('loop.pt', loop);
  });

  test.each<[string, () => string, RegExp]>([
    ['a pipe', () => pipe, /^cannot open .*pipe\.pt: it is not a regular file\n$/],
    ['a device', () => '/dev/zero', /^cannot open \/dev\/zero: it is not a regular file\n$/],
    [
      'a link to itself',
      () => loop,
      /^there is no weights file or folder .* \(it is a link that leads back to itself\)\n$/,
    ],
    [
      'a folder without weights',
      () => fs.mkdtempSync(path.join(scratch.folder, 'none-')),
      /^.* holds no weights; looked for [^\n]*\n$/,
    ],
    [
      'a bomb',
      () => packed(op.code(']'), million('}a', 300_000)),
      /^.*bomb-\d+\.pt: .*creates more than 64 MB[^\n]*\n$/,
    ],
  ])(
    'for %s',
    async (_, file, message) => {
      const place = file();
      const target = path.join(scratch.folder, 'target.safetensors');
      for (const command of [
        ['inspect', place],
        ['convert', place, target],
      ]) {
        const { code, err } = await runCrane('weights', ...command);
        expect([code, err]).toEqual([1, expect.stringMatching(message)]);
      }
      expect(fs.existsSync(target)).toBe(false);
    },
    120_000,
  );
});

test('convert does not fill the disk with a value that is spread over many tensors', async () => {
  const file = scratch.file(
    'spread.pt',
    checkpoint(Array.from({ length: 50 }, (_, index) => ({ name: `t${index}`, shape: [4000, 4000], strides: [0, 0] }))),
  );
  const { code, err } = await runCrane('weights', 'convert', file, `${file}.safetensors`);
  expect(code).toBe(1);
  expect(err).toMatch(/the shapes of its tensors take 800000000 values: a few values are repeated over many/);
  expect(fs.readdirSync(scratch.folder).filter((name) => name.startsWith('spread.pt.'))).toEqual([]);
});

test('the bomb of the trials, as it is handed around', async () => {
  // Two million empty dictionaries, kept: the file has 17 kB, and Python's own loader takes gigabytes for it.
  const content = pickle(op.code('('), repeated(op.code('}'), 990_000), op.code('t'));
  const bytes = zip([{ name: 'x/data.pkl', content, packed: true }]);
  expect(bytes.length).toBeLessThan(zlib.deflateRawSync(content).length + 1000);
  expect((await weightsError(() => openTensors(scratch.file('dicts.pt', bytes)))).code).toBe('weights/limit');
}, 60_000);
