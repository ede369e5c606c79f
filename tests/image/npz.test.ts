import { ImageError, WeightsError } from '../../lib/errors';
import { encodeNpy } from '../../lib/image/npy';
import { NpzFile } from '../../lib/image/npz';
import { scratchFolder, zip } from '../weights/archives';

const scratch = scratchFolder();
afterAll(scratch.remove);

const a = encodeNpy(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
const b = encodeNpy(Uint8Array.of(7), [1, 1]);

test.each([
  ['stored', false],
  ['deflated', true],
])('arrays by their names, %s', (_, packed) => {
  const file = new NpzFile(
    scratch.file(
      'maps.npz',
      zip([
        { name: 'kind/a.npy', content: a, packed },
        { name: 'notes.txt', content: b },
        { name: 'b.npy', content: b, packed },
      ]),
    ),
  );
  try {
    expect(file.names).toEqual(['kind/a', 'b']);
    expect(file.read('kind/a')).toEqual({ dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
    expect(file.read('b').data).toEqual(Uint8Array.of(7));
    expect(() => file.read('c')).toThrow(/maps.npz: has no array "c"; it has kind\/a, b/);
  } finally {
    file.close();
  }
});

test('what is no NPZ file is refused', () => {
  expect(() => new NpzFile(scratch.file('empty.npz', zip([{ name: 'notes.txt', content: b }])))).toThrow(ImageError);
  expect(() => new NpzFile(scratch.file('text.npz', Buffer.from('not a zip archive at all')))).toThrow(WeightsError);
  const file = new NpzFile(scratch.file('bad.npz', zip([{ name: 'a.npy', content: Buffer.from('garbage') }])));
  expect(() => file.read('a')).toThrow(/bad.npz#a: not an NPY file/);
  file.close();
});
