import * as fc from 'fast-check';
import { breakable, html } from '../../../eval/report/html';
import { readMarkup } from './markup';

/** Texts that would be markup, attributes or script if they were not escaped. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        '<',
        '>',
        '&',
        '"',
        "'",
        '=',
        '/',
        '`',
        '!--',
        '-->',
        'script',
        '</script>',
        '<img src=x onerror=alert(1)>',
        '&lt;',
        '&#60;',
        'javascript:',
        '{{',
        '\u0000',
        '\u001b',
        '\u2028',
        ' ',
      ),
    )
    .map((parts) => parts.join('')),
);
/** What no page may hold stands as a visible mark. */
const shown = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cs}]/gu, (character) => (/[\t\n\r]/.test(character) ? character : '\ufffd'));

test('any text is text again, in an element and in an attribute', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const { elements, attributes, text: read } = readMarkup(html`<p title="${text}">[${text}]</p>`.markup);
      expect(elements).toEqual(['p']);
      expect(attributes.map(({ name, value }) => [name, value])).toEqual([['title', shown(text)]]);
      expect(read).toBe(`[${shown(text)}]`);
    }),
    { numRuns: 500 },
  );
});

test('lists and names that may break are escaped piece by piece', () => {
  const page =
    html`<p>${['<a>', ['<b>', 7], null, undefined, false, html`<i>${'<c>'}</i>`]}</p><p>${breakable('<x>/<y>_z')}</p>`
      .markup;
  const { elements, text } = readMarkup(page);
  expect(elements.filter((element) => element !== 'wbr')).toEqual(['p', 'i', 'p']);
  expect(text).toBe('<a><b>7<c><x>/<y>_z');
});
