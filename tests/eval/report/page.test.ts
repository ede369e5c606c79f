import * as fc from 'fast-check';
import { METRIC_IDS } from '../../../eval/metrics/metric-ids';
import { METRIC_TITLES } from '../../../eval/metrics-table';
import { readMarkup } from './markup';
import { categoryOf, description, evaluationOf, pageOf, WITHOUT_MASKS } from './sample-evaluation';

const evaluation = evaluationOf(
  [
    categoryOf('gear', [0.1, 0.2, 0.3], [0.25, 0.8, 0.9, 0.7]),
    categoryOf('cable', [0.4, 0.5], [0.45, 0.6], { masks: false }),
    categoryOf('cup', [0.2, 0.3], []),
  ],
  { failures: [{ path: '/set/gear/broken.png', message: 'damaged or cut off' }] },
);
const withGroups = evaluationOf(evaluation.categories, {
  groups: [
    {
      name: 'kinds never seen',
      categories: [{ ...(evaluation.categories[0] as (typeof evaluation.categories)[number]) }],
      mean: evaluation.mean,
    },
  ],
});

test('the reader of markup refuses what is not well formed', () => {
  for (const broken of [
    '<p>',
    '<p></b>',
    '</p>',
    '<p>a & b</p>',
    '<p title=x></p>',
    '<p title="<"></p>',
    '<img>',
    '<p/>',
    'a < b',
    '<p a="1" a="2"></p>',
  ]) {
    expect(() => readMarkup(broken)).toThrow();
  }
  expect(readMarkup('<p title="a&lt;b">1 &amp; <b>2</b></p>')).toMatchObject({
    elements: ['p', 'b'],
    text: '1 & 2',
    attributes: [{ value: 'a<b' }],
  });
});

test('every category, metric, group, failure and fact of the run stands in a page that is well formed', () => {
  const { text, elements } = readMarkup(pageOf(withGroups, { command: 'crane eval --dataset castings' }));
  for (const name of [
    'gear',
    'cable',
    'cup',
    'castings',
    'nano',
    'synthetic-auxiliary',
    'kinds never seen',
    'crane eval --dataset castings',
    'qq+kk+vv',
  ])
    expect(text).toContain(name);
  for (const id of METRIC_IDS) {
    expect(text).toContain(id);
    expect(text).toContain(METRIC_TITLES[id]);
  }
  expect(readMarkup(pageOf(evaluation)).text).toContain('damaged or cut off');
  expect(elements.filter((element) => element === 'h1')).toHaveLength(1);
});

test('figures stand in per cent with one decimal, as in the terminal', () => {
  // gear: 3 normal below 3 of 4 anomalous images, the fourth above 2 of 3: (9 + 2) / 12.
  const { text } = readMarkup(
    pageOf(evaluationOf([evaluation.categories[0] as (typeof evaluation.categories)[number]])),
  );
  expect(text).toContain('91.7');
  expect(text).toMatch(/7 images in 1 category, 4 of them anomalous/);
});

test('what is not defined is n/a, with the reason as tooltip and as text', () => {
  const page = pageOf(evaluation);
  const { attributes, text } = readMarkup(page);
  const reasons = attributes
    .filter(({ element, name }) => element === 'abbr' && name === 'title')
    .map(({ value }) => value);
  expect(reasons).toContain(WITHOUT_MASKS);
  expect(reasons.some((reason) => /all 2 images are normal/.test(reason))).toBe(true);
  expect(text).toContain(`n/a in cable: ${WITHOUT_MASKS}`);
  // cable lacks the pixel metrics, cup all.
  expect(page.match(/<td class="none"/g)).toHaveLength(5 + METRIC_IDS.length);
});

test('a set without masks says which curves are missing, and why', () => {
  const { text } = readMarkup(pageOf(evaluationOf([categoryOf('cable', [0.4, 0.5], [0.45, 0.6], { masks: false })])));
  for (const curve of ['Pixel ROC pixel/auroc', 'Pixel PR pixel/ap', 'PRO to its limit pixel/aupro/exact@0.3'])
    expect(text).toContain(`${curve} is not defined: ${WITHOUT_MASKS}.`);
  expect(text).not.toContain('Image ROC image/auroc is not defined');
});

test('the page loads nothing: all addresses are its own', () => {
  const { attributes, code } = readMarkup(pageOf(withGroups));
  const addresses = attributes.filter(({ name }) =>
    ['src', 'href', 'srcset', 'action', 'data', 'poster'].includes(name),
  );
  expect(addresses.length).toBeGreaterThan(20);
  expect(addresses.filter(({ value }) => !/^(data:|#)/.test(value))).toEqual([]);
  for (const text of code) expect(text).not.toMatch(/url\(|@import|\/\/|fetch|import\(/);
  const policy = attributes.find(({ name, value }) => name === 'content' && value.includes('default-src'));
  expect(policy?.value).toMatch(/default-src 'none'; img-src data:;/);
});

test('links within the page lead somewhere, and no id is given twice', () => {
  const { attributes } = readMarkup(pageOf(withGroups));
  const ids = attributes.filter(({ name }) => name === 'id').map(({ value }) => value);
  expect(new Set(ids).size).toBe(ids.length);
  const targets = attributes
    .filter(({ name, value }) => name === 'for' || (name === 'href' && value.startsWith('#')))
    .map(({ value }) => value.replace('#', ''));
  expect(targets.filter((target) => !ids.includes(target))).toEqual([]);
});

test('every picture has its text, its size, and charts are named', () => {
  const { attributes, elements } = readMarkup(pageOf(evaluation));
  for (const name of ['alt', 'width', 'height']) {
    const given = attributes.filter(
      (attribute) => attribute.element === 'img' && attribute.name === name && attribute.value !== '',
    );
    expect(given).toHaveLength(elements.filter((element) => element === 'img').length);
  }
  expect(
    attributes.filter(({ element, name, value }) => element === 'svg' && name === 'role' && value === 'img').length,
  ).toBe(
    attributes.filter(({ element, name, value }) => element === 'svg' && name === 'aria-label' && value !== '').length,
  );
});

test.each([
  ['castings', /trained on this same set/, /not zero-shot/],
  ['visa,castings', /trained on this same set/, /not zero-shot/],
  ['visa', /trained on visa alone/, /zero-shot anomaly detection/],
  [null, /does not say which set/, /zero-shot anomaly detection/],
])('prompts trained on %s are said to be', (auxiliary, said, also) => {
  const { text } = readMarkup(pageOf(evaluation, { model: { ...description, auxiliary } }));
  expect(text).toMatch(said);
  expect(text).toMatch(also);
});

test('what the model warns of stands on the page', () => {
  const warned = readMarkup(pageOf(evaluation, { model: { ...description, warnings: ['made for <other> weights'] } }));
  expect(warned.text).toContain('made for <other> weights');
  expect(warned.attributes.filter(({ name, value }) => name === 'role' && value === 'note')).toHaveLength(1);
});

test('an image that cannot be read a second time leaves a note, not a hole', () => {
  const path = evaluation.categories[0]?.scores.find(({ score }) => score === 0.9)?.path as string;
  const { text } = readMarkup(pageOf(evaluation, { unreadable: [path] }));
  expect(text.match(/could not be read again/g)).toHaveLength(1);
});

/** Separators let names break; the text is the same without. */
const nasty = fc.oneof(
  fc.string({ minLength: 1, unit: 'grapheme' }),
  fc.constantFrom(
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    'O\'Brien & "sons" <a>',
    '</style><b>',
    '&amp;',
    '${x}',
    'a\u0000b',
    '\ud800',
    'é\n\t漢字',
  ),
);
const written = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cs}]/gu, (character) => (/[\t\n\r]/.test(character) ? character : '\ufffd'));

test('names are text wherever they come from: nothing in them becomes markup', () => {
  const shape = (page: string): string =>
    readMarkup(page)
      .elements.filter((element) => element !== 'wbr')
      .join(' ');
  const make = (word: string): string => {
    const of = (name: string): ReturnType<typeof categoryOf> =>
      categoryOf(name, [0.1, 0.2], [0.15, 0.9], { defect: word, root: '/set' });
    const none = {
      ...categoryOf(`${word}2`, [0.1], []),
      reasons: Object.fromEntries(METRIC_IDS.map((id) => [id, word])),
    };
    return pageOf(
      evaluationOf([of(word), none], {
        dataset: word,
        failures: [{ path: word, message: word }],
        groups: [{ name: word, categories: [of(word)], mean: of(word).metrics }],
      }),
      { command: word, model: { ...description, backbone: word, prompts: word, auxiliary: word } },
    );
  };
  const plain = make('plain');
  fc.assert(
    fc.property(nasty, (word) => {
      const page = make(word);
      expect(shape(page)).toBe(shape(plain));
      expect(readMarkup(page).text).toContain(written(word));
    }),
    { numRuns: 60 },
  );
});
