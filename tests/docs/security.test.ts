import * as fs from 'node:fs';
import * as path from 'node:path';

const root = path.resolve(__dirname, '../..');
const page = fs.readFileSync(path.join(root, 'docs/security.md'), 'utf8');
const named = [...page.matchAll(/`(tests\/[\w./-]+\.test\.ts) › ([^`]+)`/g)].map(([, file, name]): [string, string] => [
  file as string,
  name as string,
]);

/** Titles of tests in a source: every text in quotes, which a title is one of. */
function textsOf(file: string): Set<string> {
  const source = fs.readFileSync(path.join(root, file), 'utf8');
  return new Set(
    [...source.matchAll(/'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"/g)].map(([, single, double]) =>
      (single ?? double ?? '').replaceAll(/\\(['"])/g, '$1'),
    ),
  );
}

test.each([...new Set(named.map(([file]) => file))])('every test that the page on security names is in %s', (file) => {
  const texts = textsOf(file);
  expect(named.filter(([each, name]) => each === file && !texts.has(name)).map(([, name]) => name)).toEqual([]);
});

test('every promise has its test', () => {
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| promised |'));
  expect(rows.length).toBeGreaterThan(30);
  expect(rows.filter((row) => !/\| `tests\/[^`]+ › [^`]+`(, `tests\/[^`]+ › [^`]+`)* \|$/.test(row))).toEqual([]);
});
