import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as fc from 'fast-check';
import { UsageError, WeightsError } from '../../lib/errors';
import { cleanText } from '../../lib/prompts/text-cleaning';
import { ClipTokenizer } from '../../lib/prompts/tokenizer';
import { byteSymbols, embeddedVocabulary } from '../../lib/prompts/vocabulary';
import { describeWithGoldens, goldenPath } from '../goldens';

interface Row {
  readonly text: string;
  readonly clean: string;
  readonly ids: number[];
  readonly context: number[];
  readonly too_long: boolean;
  readonly decoded: string;
}

const tokenizer = ClipTokenizer.embedded();

describeWithGoldens('the tokenizer against the reference', () => {
  // The reference repairs text that was decoded wrongly; here such text is encoded as it stands.
  const REPAIRED = ['schÃ¶n mojibake âœ”'];
  const { rows } = JSON.parse(fs.readFileSync(goldenPath('tokenizer.json'), 'utf8')) as { rows: Row[] };

  test('every case that is left out is a case of the goldens', () => {
    expect(rows.map(({ text }) => text)).toEqual(expect.arrayContaining(REPAIRED));
  });

  const encoded = rows.filter(({ text }) => !REPAIRED.includes(text));
  test.each(encoded.map((row) => [JSON.stringify(row.text).slice(0, 70), row] as const))('%s', (_, row) => {
    expect(cleanText(row.text)).toBe(row.clean);
    expect(tokenizer.encode(row.text)).toEqual(row.ids);
    expect(Array.from(tokenizer.tokenize(row.text, { truncate: true }))).toEqual(row.context);
    expect(tokenizer.decode(row.ids)).toBe(row.decoded);
    if (row.too_long) expect(() => tokenizer.tokenize(row.text)).toThrow(UsageError);
    else expect(Array.from(tokenizer.tokenize(row.text))).toEqual(row.context);
  });
});

describe('tokenize', () => {
  const twelve = Array.from({ length: 12 }, () => 'X').join(' ');

  test('encodes the two prompts of the paper (docs/method.md#tokenizer)', () => {
    const xs = Array.from({ length: 12 }, () => 343);
    expect([...tokenizer.tokenize(`${twelve} object.`).slice(0, 17)]).toEqual([49406, ...xs, 14115, 269, 49407, 0]);
    const damaged = [...tokenizer.tokenize(`${twelve} damaged object.`).slice(0, 18)];
    expect(damaged).toEqual([49406, ...xs, 13568, 14115, 269, 49407, 0]);
    expect(tokenizer.vocabularySize).toBe(49408);
  });

  test('says how many tokens a text has and how many fit', () => {
    const error = thrown(() => tokenizer.tokenize('a b c d', { contextLength: 5 }));
    expect(error).toMatchObject({ code: 'text/too-long', data: { tokens: 6, contextLength: 5 } });
    expect(error).toBeInstanceOf(UsageError);
    expect([...tokenizer.tokenize('a b c', { contextLength: 5 })]).toEqual([49406, 320, 321, 322, 49407]);
    const cut = tokenizer.tokenize('a b c d', { contextLength: 5, truncate: true });
    expect([...cut]).toEqual([49406, 320, 321, 322, 49407]);
  });

  test.each([0, 1, -3, 2.5, NaN])('refuses a context of %p tokens', (contextLength) => {
    expect(thrown(() => tokenizer.tokenize('a', { contextLength }))).toMatchObject({ code: 'text/context-length' });
  });

  test('refuses to decode an id that no symbol has', () => {
    expect(thrown(() => tokenizer.decode([320, 49408]))).toMatchObject({
      code: 'text/unknown-token',
      data: { id: 49408 },
    });
  });

  test('a very long word ends', () => {
    expect(tokenizer.encode('q'.repeat(3000)).length).toBeGreaterThan(100);
  });
});

describe('properties', () => {
  const anyText = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.string());

  test('decoding gives the cleaned text back, up to white space', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const withoutSpace = (value: string) => value.replace(/\p{White_Space}+/gu, '');
        expect(withoutSpace(tokenizer.decode(tokenizer.encode(text)))).toBe(withoutSpace(cleanText(text)));
      }),
      { numRuns: 500 },
    );
  });

  test('encoding what was decoded gives the same ids, for text that cleaning leaves alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."abcxyz'st019 .,-!?éñß中") }), (text) => {
        const ids = tokenizer.encode(text);
        expect(tokenizer.encode(tokenizer.decode(ids))).toEqual(ids);
      }),
      { numRuns: 500 },
    );
  });

  test('joins pairs as a slow search over all of the merges does', () => {
    const { ids, mergeRanks } = embeddedVocabulary();
    const symbolOfByte = new Map(byteSymbols().map(({ byte, symbol }) => [byte, symbol]));
    const slow = (word: string): number[] => {
      let parts = [...Buffer.from(word)].map((byte) => symbolOfByte.get(byte) as string);
      parts[parts.length - 1] = `${parts[parts.length - 1]}</w>`;
      for (;;) {
        const ranks = parts.slice(1).map((part, at) => mergeRanks.get(`${parts[at]} ${part}`) ?? Infinity);
        const rank = Math.min(Infinity, ...ranks);
        if (rank === Infinity) return parts.map((part) => ids.get(part) as number);
        const at = ranks.indexOf(rank);
        parts = [...parts.slice(0, at), `${parts[at]}${parts[at + 1]}`, ...parts.slice(at + 2)];
      }
    };
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aeinorstlhdé'), minLength: 1, maxLength: 20 }), (word) => {
        expect(tokenizer.encode(word)).toEqual(slow(word));
      }),
      { numRuns: 500 },
    );
  });

  test('cleaning twice is cleaning once, where there is no character reference', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const once = cleanText(text.replaceAll('&', ' '));
        expect(cleanText(once)).toBe(once);
      }),
      { numRuns: 500 },
    );
  });
});

describe('cleaning', () => {
  // Expected values by ftfy 6.3.1 and Python's html.unescape, as the reference cleans.
  test.each([
    ['< &amp;lt; &amp;amp;lt;', '< < &lt;'],
    ['naïve façade', 'naïve façade'],
    ['100 °C × 2²', '100 °c × 2²'],
    ['<b> &amp;', '<b> &'],
    ['a \ud800 b', 'a \ufffd b'],
    ['one\r\ntwo\rthree\u2028four', 'one two three four'],
    ['\x1b[1;31mred\x1b[0m', 'red'],
    ['ŉ ǆ ﬃ', "'n dž ffi"],
    ['ｶﾞ\u3000Ａ', 'ガ a'],
    ['&ldquo;scratch&rdquo; on a Pok&eacute;mon card', '"scratch" on a pokémon card'],
    ['&notit; &notin; &copycat', '¬it; ∉ ©cat'],
    ['&#x80; &#0; &#xd800; &#1; &#128512; &#x1F600', '€ \ufffd \ufffd 😀 😀'],
    ['&#99999999; &unknown; & &;', '\ufffd &unknown; & &;'],
    ['&CounterClockwiseContourIntegral; &acE;', '∳ ∾̳'],
  ])('%j becomes %j', (text, want) => {
    expect(cleanText(text)).toBe(want);
  });
});

describe('a HuggingFace folder', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-tokenizer-'));
  const { ids, mergeRanks } = embeddedVocabulary();
  const text = "It's a damaged metal_nut, 42 % naïve 😀 <|endoftext|>";
  const make = (name: string, files: Readonly<Record<string, unknown>>): string => {
    const target = path.join(folder, name);
    fs.mkdirSync(target);
    for (const [file, content] of Object.entries(files)) {
      fs.writeFileSync(path.join(target, file), typeof content === 'string' ? content : JSON.stringify(content));
    }
    return target;
  };

  afterAll(() => fs.rmSync(folder, { recursive: true }));

  test('with vocab.json and merges.txt encodes as the embedded vocabulary does', async () => {
    const from = make('slow', {
      'vocab.json': Object.fromEntries(ids),
      'merges.txt': `#version: 0.2\n${[...mergeRanks.keys()].join('\n')}\n`,
    });
    expect((await ClipTokenizer.fromFolder(from)).encode(text)).toEqual(tokenizer.encode(text));
  });

  test.each(['strings', 'pairs'])('with tokenizer.json, merges as %s', async (form) => {
    const merges = [...mergeRanks.keys()].map((merge) => (form === 'pairs' ? merge.split(' ') : merge));
    const from = make(form, { 'tokenizer.json': { model: { vocab: Object.fromEntries(ids), merges } } });
    expect((await ClipTokenizer.fromFolder(from)).encode(text)).toEqual(tokenizer.encode(text));
  });

  test('without a tokenizer, or with a broken one, says so', async () => {
    const cases: [string, Readonly<Record<string, unknown>>, string][] = [
      ['empty', {}, 'vocabulary/missing'],
      ['garbage', { 'tokenizer.json': '{' }, 'vocabulary/invalid'],
      ['no-merges', { 'tokenizer.json': { model: { vocab: {} } } }, 'vocabulary/invalid'],
      ['no-bytes', { 'vocab.json': { a: 1 }, 'merges.txt': '' }, 'vocabulary/invalid'],
      ['bad-id', { 'vocab.json': { a: 'x' }, 'merges.txt': '' }, 'vocabulary/invalid'],
      ['bad-merge', { 'vocab.json': Object.fromEntries(ids), 'merges.txt': 'a b c' }, 'vocabulary/invalid'],
      ['unknown-merge', { 'vocab.json': Object.fromEntries(ids), 'merges.txt': 'zq qz' }, 'vocabulary/invalid'],
    ];
    for (const [name, files, code] of cases) {
      const error: unknown = await ClipTokenizer.fromFolder(make(name, files)).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(WeightsError);
      expect(error).toMatchObject({ code });
    }
    const absent = ClipTokenizer.fromFolder(path.join(folder, 'absent'));
    await expect(absent).rejects.toMatchObject({ code: 'vocabulary/missing' });
  });
});

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
