import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { UsageError } from '../../lib/errors';
import { imagesBelow, walkImages } from '../../lib/image/image-files';

// The superuser may look into every folder, so that rights alone would not do in every place where tests run.
jest.mock('node:fs', () => {
  const actual = jest.requireActual<typeof fs>('node:fs');
  return {
    ...actual,
    readdirSync: (folder: string, options: { withFileTypes: true }) => {
      if (path.basename(folder) === 'closed') throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
      return actual.readdirSync(folder, options);
    },
  };
});

test('a folder that may not be looked into is named beside the images of the others', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-closed-'));
  fs.mkdirSync(path.join(folder, 'closed'));
  fs.mkdirSync(path.join(folder, 'open'));
  fs.writeFileSync(path.join(folder, 'open', '1.png'), '');
  const closed = path.join(folder, 'closed');
  expect(walkImages(folder)).toEqual({
    images: [path.join(folder, 'open', '1.png')],
    unreadable: [{ folder: closed, code: 'EACCES' }],
  });
  // Who wants a plain list is not given a part of it.
  expect(() => imagesBelow(folder)).toThrow(UsageError);
  expect(() => imagesBelow(folder)).toThrow(`${closed}: cannot be read (EACCES)`);
  fs.rmSync(folder, { recursive: true });
});
