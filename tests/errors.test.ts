import * as fs from 'node:fs';
import * as path from 'node:path';
import { CraneError, ImageError } from '../index';

const root = path.resolve(__dirname, '..');
const LIST = 'lib/error-codes.ts';
/** That only listed codes are thrown is the compiler's to see. */
const listed = [...fs.readFileSync(path.join(root, LIST), 'utf8').matchAll(/^ {2}\| '(.*)'/gm)].map(
  ([, code]) => code as string,
);

/** Every text of the form area/kind in quotes, in the sources that throw. */
function quotedCodes(): Set<string> {
  const files = ['lib', 'datasets', 'train', 'eval', 'terminal', 'cli', 'tools'].flatMap((folder) =>
    fs
      .readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => path.join(folder, file))
      .filter((file) => file.endsWith('.ts') && file !== path.normalize(LIST)),
  );
  return new Set(
    files.flatMap((file) =>
      [...fs.readFileSync(path.join(root, file), 'utf8').matchAll(/'([a-z]+\/[a-z0-9-]+)'/g)].map(
        ([, code]) => code as string,
      ),
    ),
  );
}

test('error codes are area/kind, each is listed once, and every area is in the table of areas', () => {
  expect(listed.length).toBeGreaterThan(150);
  const table = fs.readFileSync(path.join(root, 'lib/errors.ts'), 'utf8');
  const areas = [...table.matchAll(/^ \* \| (`.*?) \|/gm)].flatMap(([, cell]) =>
    [...(cell as string).matchAll(/`([a-z]+)`/g)].map(([, area]) => area),
  );
  expect(listed.filter((code) => !/^[a-z]+\/[a-z0-9]+(-[a-z0-9]+)*$/.test(code))).toEqual([]);
  expect(listed.filter((code) => !areas.includes(code.split('/')[0]))).toEqual([]);
  expect(listed.filter((code, index) => listed.indexOf(code) !== index)).toEqual([]);
});

test('every listed code is thrown somewhere', () => {
  const thrown = quotedCodes();
  expect(listed.filter((code) => !thrown.has(code))).toEqual([]);
});

test('an error says its class, code, data and cause', () => {
  const cause = new Error('below');
  const error = new ImageError('image/corrupt', 'part.png: damaged', { source: 'part.png' }, { cause });
  expect(error).toBeInstanceOf(CraneError);
  expect(error).toMatchObject({ name: 'ImageError', code: 'image/corrupt', data: { source: 'part.png' }, cause });
  expect(new CraneError('image/corrupt', 'damaged').data).toEqual({});
});
