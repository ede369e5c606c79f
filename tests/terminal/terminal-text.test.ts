import { jsonText, shown, shownInLine, withNamesInLine } from '../../terminal/terminal-text';
import { formatTable } from '../../terminal/table';

test.each([
  ['\u001b[31mred', '\\x1b[31mred'],
  ['\u001b]0;title\u0007', '\\x1b]0;title\\x07'],
  ['\u009b31m', '\\x9b31m'],
  ['a\rb', 'a\\rb'],
  ['a\u007f\u0000', 'a\\x7f\\x00'],
  ['\u202egnp.exe', '\\u202egnp.exe'],
  ['\u2066x\u2069', '\\u2066x\\u2069'],
  ['a\u2028b', 'a\\u2028b'],
  ['\ud800', '\\ud800'],
  ['Straße 日本 👩‍🔧 é\tx\ny', 'Straße 日本 👩‍🔧 é\tx\ny'],
])('%j is shown as %j', (text, expected) => {
  expect(shown(text)).toBe(expected);
});

test('in a line, line ends and tabs are shown too; in a message those of names alone', () => {
  expect(shownInLine('a\nb\tc')).toBe('a\\nb\\tc');
  expect(withNamesInLine('a\nb.png: missing.\nLook again.', ['a\nb.png', 3, 'other'])).toBe(
    'a\\nb.png: missing.\nLook again.',
  );
});

test('JSON is harmless to a terminal and the same value', () => {
  const value = { name: '\u001b[31m\u009b1m\u202e\n\u2028é' };
  expect(jsonText(value)).toMatch(/^[\u0020-\u007eé]*$/);
  expect(JSON.parse(jsonText(value))).toEqual(value);
});

test('tables keep to their lines and columns', () => {
  expect(formatTable([{ title: 'category' }, { title: 'n' }], [['\u001b[31mred\nline', '1']]).split('\n')).toEqual([
    `category${' '.repeat(11)}n`,
    `${'─'.repeat(17)}  ───`,
    '\\x1b[31mred\\nline  1',
  ]);
});
