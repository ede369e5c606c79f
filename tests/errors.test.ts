import * as fs from 'node:fs';
import * as path from 'node:path';

const root = path.resolve(__dirname, '..');

/** Every code that is written out in a `new …Error('…')` below a folder, with where. */
function codesBelow(folder: string): { code: string; file: string }[] {
  const files = fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) => {
    const text = fs.readFileSync(path.join(root, folder, file), 'utf8');
    return [...text.matchAll(/new (?:\w*Error)\(\s*'([^' ]+)',/g)].map(([, code]) => ({
      code: code as string,
      file: path.join(folder, file),
    }));
  });
}

test('error codes are written as area/kind, and every area is in the list of areas', () => {
  const codes = ['lib', 'datasets', 'train', 'eval'].flatMap(codesBelow);
  expect(codes.length).toBeGreaterThan(80);
  const listed = fs.readFileSync(path.join(root, 'lib/errors.ts'), 'utf8');
  const areas = [...listed.matchAll(/^ \* \| (`.*?) \|/gm)].flatMap(([, cell]) =>
    [...(cell as string).matchAll(/`([a-z]+)`/g)].map(([, area]) => area),
  );
  const odd = codes.filter(
    ({ code }) => !/^[a-z]+\/[a-z0-9]+(-[a-z0-9]+)*$/.test(code) || !areas.includes(code.split('/')[0]),
  );
  expect(odd).toEqual([]);
});
