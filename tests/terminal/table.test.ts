import { displayWidth, formatBytes, formatTable } from '../../terminal/table';

const columns = [{ title: 'category' }, { title: 'AUROC', align: 'right' }] as const;

test('plain: padded by columns, numbers to the right, a rule above the mean, no blanks at line ends', () => {
  expect(formatTable(columns, [['grid', '98.1'], ['metal_nut', '7'], null, ['mean', '52.6']])).toBe(
    [
      'category   AUROC',
      '─────────  ─────',
      'grid        98.1',
      'metal_nut      7',
      '─────────  ─────',
      'mean        52.6',
    ].join('\n'),
  );
  expect(formatTable([{ title: 'a' }, { title: 'b' }], [['x']])).toBe('a    b\n───  ───\nx');
});

test('markdown: aligned, bars escaped, no rule inside', () => {
  expect(formatTable(columns, [['a|b', '1'], null, ['two\nlines', '2']], 'markdown')).toBe(
    ['| category  | AUROC |', '| --------- | ----: |', '| a\\|b      |     1 |', '| two lines |     2 |'].join('\n'),
  );
});

test('width on the terminal, not number of code units', () => {
  expect(['abc', 'é', 'e\u0301', '布', 'ｗ', '🔥', '한글'].map(displayWidth)).toEqual([3, 1, 1, 2, 2, 2, 4]);
  const [, , first, second] = formatTable(
    [{ title: 'name' }, { title: 'n' }],
    [
      ['布料', '1'],
      ['ab', '2'],
    ],
  ).split('\n');
  expect([first, second]).toEqual(['布料  1', 'ab    2']);
});

test('bytes in decimal units', () => {
  expect([0, 999, 1000, 576_693, 934_088_680, 1_800_000_000, 5e15].map(formatBytes)).toEqual([
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '577 kB',
    '934 MB',
    '1.8 GB',
    '5000 TB',
  ]);
});
