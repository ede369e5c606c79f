import * as fs from 'node:fs';
import * as path from 'node:path';

const root = path.resolve(__dirname, '../..');
const TEXTS = /\.(md|ts|mts|cts|js|mjs|cjs|cc|inc|py|json|yml)$/;

/** Folders that are not part of the repository. */
const ignored = new Set(
  ['.git/', 'node_modules/', ...fs.readFileSync(path.join(root, '.gitignore'), 'utf8').split('\n')]
    .filter((line) => line.endsWith('/'))
    .map((line) => line.replace(/^\/|\/$/g, '')),
);

/** Source, tests and pages, by their path in the repository; this file, whose examples are wrong on purpose, is not one. */
function textFiles(folder = ''): string[] {
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) return ignored.has(name) || ignored.has(entry.name) ? [] : textFiles(name);
    return entry.isFile() && TEXTS.test(name) && path.join(root, name) !== __filename ? [name] : [];
  });
}

/** Where links to a page may lead: named anchors, and headings as GitHub names them. */
function anchorsOf(page: string): Set<string> {
  const text = page.replaceAll(/^```[^]*?^```/gm, '');
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
  return new Set([...headings, ...[...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id as string)]);
}

/** Pages and anchors that a text names, pages by their path in the repository. */
function citationsIn(file: string, text: string): { page: string; anchor: string | undefined }[] {
  const named = [...text.matchAll(/\bdocs\/[\w-]+\.md(?:#([\w-]+))?/g)].map(([all, anchor]) => ({
    page: (all as string).replace(/#.*/, ''),
    anchor,
  }));
  if (!file.endsWith('.md')) return named;
  const linked = [...text.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([\w-]+))?\)/g)].map(([, target, anchor]) => ({
    page: target === '' ? file : path.posix.join(path.posix.dirname(file), target as string),
    anchor,
  }));
  return [...named, ...linked];
}

const read = (file: string): string => fs.readFileSync(path.join(root, file), 'utf8');

/** What is wrong with the citations of a text. */
function faultsIn(file: string, text: string): string[] {
  const faults = citationsIn(file, text).flatMap(({ page, anchor }) => {
    if (!fs.existsSync(path.join(root, page))) return [`${file}: ${page} does not exist`];
    if (anchor === undefined || anchorsOf(read(page)).has(anchor)) return [];
    return [`${file}: ${page} has no anchor ${anchor}`];
  });
  const elsewhere = [...text.matchAll(/\bspecs? \d+(?:\.\d+)*/g)].map(([citation]) => `${file}: ${citation}`);
  return [...faults, ...elsewhere];
}

test('every page and anchor that source, tests and pages cite exists', () => {
  const files = textFiles();
  const cited = files.flatMap((file) => citationsIn(file, read(file)));
  expect(cited.filter(({ page, anchor }) => page === 'docs/method.md' && anchor !== undefined).length).toBeGreaterThan(
    100,
  );
  expect(files.flatMap((file) => faultsIn(file, read(file)))).toEqual([]);
});

test.each([
  ['lib/a.ts', '/** See docs/nowhere.md. */', 'lib/a.ts: docs/nowhere.md does not exist'],
  ['lib/a.ts', '/** docs/method.md#f-attn */', 'lib/a.ts: docs/method.md has no anchor f-attn'],
  ['docs/a.md', '[x](method.md#f-attn)', 'docs/a.md: docs/method.md has no anchor f-attn'],
  ['checkpoints/a.md', '[x](docs/method.md)', 'checkpoints/a.md: checkpoints/docs/method.md does not exist'],
  ['docs/method.md', '[x](#f-attn)', 'docs/method.md: docs/method.md has no anchor f-attn'],
  ['lib/a.ts', '/** As spec 8.1 has it. */', 'lib/a.ts: spec 8.1'],
])('%s with "%s" is at fault', (file, text, fault) => {
  expect(faultsIn(file, text)).toEqual([fault]);
});

test.each([
  ['lib/a.ts', '/** docs/method.md#e-attn, docs/method.md#four-copies, docs/method.md */'],
  ['docs/a.md', '[one](method.md#second-models), [two](../README.md), [three](https://example.org/#any)'],
])('%s with "%s" is not', (file, text) => {
  expect(faultsIn(file, text)).toEqual([]);
});

test('no two places of the page on the method have one anchor', () => {
  const page = read('docs/method.md').replaceAll(/^```[^]*?^```/gm, '');
  const places = [...page.matchAll(/^#+ .+$|<a id="[^"]+">/gm)].length;
  expect(anchorsOf(page).size).toBe(places);
});
