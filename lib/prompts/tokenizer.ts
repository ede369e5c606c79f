import { UsageError } from '../errors';
import { cleanText } from './text-cleaning';
import {
  END_OF_TEXT,
  END_OF_WORD,
  START_OF_TEXT,
  byteSymbols,
  embeddedVocabulary,
  readVocabularyFolder,
  type Vocabulary,
} from './vocabulary';

/**
 * How a text is split before byte-pair encoding: the two special tokens, English contractions, runs of letters, single
 * digits, runs of anything else. No flag `i`, because it would change the character classes too; text is already lower
 * case, `ſ` is the one other character that folds to a letter used here.
 */
const PIECES =
  /<\|[sſ]tartoftext\|>|<\|endoftext\|>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu;

/** Encoded pieces are cached; prompts use few words, so the bound only matters for endless streams of text. */
const MAX_REMEMBERED_PIECES = 20_000;

/** Tokens of CLIP's text tower, see docs/method.md#tokenizer. */
export interface TokenizeOptions {
  /** Length of the result, 2 or more. Default 77. */
  readonly contextLength?: number;
  /** Cut a text that is too long, keeping the end token last, instead of rejecting it. Default false. */
  readonly truncate?: boolean;
}

/**
 * CLIP's byte-pair tokenizer. Equal to OpenAI's, token by token, for text that `text-cleaning.ts` cleans the same way.
 */
export class ClipTokenizer {
  private static embeddedTokenizer: ClipTokenizer | undefined;

  private readonly symbolOfByte: readonly string[];
  private readonly byteOfSymbol: ReadonlyMap<string, number>;
  private readonly symbolOfId: ReadonlyMap<number, string>;
  private readonly remembered = new Map<string, readonly number[]>();

  constructor(private readonly vocabulary: Vocabulary) {
    const alphabet = byteSymbols();
    this.byteOfSymbol = new Map(alphabet.map(({ byte, symbol }) => [symbol, byte]));
    this.symbolOfByte = [...alphabet].sort((a, b) => a.byte - b.byte).map(({ symbol }) => symbol);
    this.symbolOfId = new Map([...vocabulary.ids].map(([symbol, id]) => [id, symbol]));
  }

  /** The tokenizer with CLIP's published vocabulary, read on the first call. */
  static embedded(): ClipTokenizer {
    ClipTokenizer.embeddedTokenizer ??= new ClipTokenizer(embeddedVocabulary());
    return ClipTokenizer.embeddedTokenizer;
  }

  /**
   * The tokenizer of a HuggingFace CLIP folder (`vocab.json` and `merges.txt`, or `tokenizer.json`).
   *
   * @throws WeightsError when the folder has no usable vocabulary
   */
  static async fromFolder(folder: string): Promise<ClipTokenizer> {
    return new ClipTokenizer(await readVocabularyFolder(folder));
  }

  /** Id put before every text: 49406 in CLIP's vocabulary. */
  get startToken(): number {
    return this.vocabulary.startToken;
  }

  /** Id put after every text: 49407 in CLIP's vocabulary. */
  get endToken(): number {
    return this.vocabulary.endToken;
  }

  /** Number of ids: 49408 in CLIP's vocabulary. */
  get vocabularySize(): number {
    return this.vocabulary.ids.size;
  }

  /** Ids of a text of any length, without start and end token. The text is cleaned first. */
  encode(text: string): number[] {
    return (cleanText(text).match(PIECES) ?? []).flatMap((piece) => this.encodePiece(piece));
  }

  /**
   * Ids as the text encoder takes them: start token, text, end token, zeros.
   *
   * @returns int32, `contextLength` values
   * @throws UsageError when the text is too long and `truncate` is off, or the context has no room for a text
   */
  tokenize(text: string, { contextLength = 77, truncate = false }: TokenizeOptions = {}): Int32Array {
    if (!Number.isInteger(contextLength) || contextLength < 2) {
      throw new UsageError(
        'text/context-length',
        `context length ${contextLength}: expected a whole number of 2 or more, as start and end token take two. ` +
          'CLIP uses 77.',
        { contextLength },
      );
    }
    const ids = [this.startToken, ...this.encode(text), this.endToken];
    if (ids.length > contextLength && !truncate) {
      const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
      throw new UsageError(
        'text/too-long',
        `"${shown}" has ${ids.length} tokens with start and end, but the context holds ${contextLength}. ` +
          'Shorten the text or pass truncate.',
        { tokens: ids.length, contextLength },
      );
    }
    const context = new Int32Array(contextLength);
    context.set(ids.slice(0, contextLength));
    if (ids.length > contextLength) context[contextLength - 1] = this.endToken;
    return context;
  }

  /**
   * Text of a list of ids: every word is followed by one space, bytes that are not UTF-8 become U+FFFD.
   *
   * @throws UsageError when an id is not in the vocabulary
   */
  decode(ids: ArrayLike<number>): string {
    const symbols = Array.from(ids, (id) => {
      const symbol = this.symbolOfId.get(id);
      if (symbol !== undefined) return symbol;
      const message = `token ${id} is not in the vocabulary of ${this.vocabularySize} tokens`;
      throw new UsageError('text/unknown-token', message, { id });
    });
    const bytes = Uint8Array.from(Array.from(symbols.join('')), (symbol) => this.byteOfSymbol.get(symbol) as number);
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes).replaceAll(END_OF_WORD, ' ');
  }

  private encodePiece(piece: string): readonly number[] {
    const known = this.remembered.get(piece);
    if (known) return known;
    const isSpecial = piece === START_OF_TEXT || piece === END_OF_TEXT;
    const symbols = isSpecial ? [piece] : this.joinPairs(piece);
    const ids = symbols.map((symbol) => this.vocabulary.ids.get(symbol) as number);
    if (this.remembered.size >= MAX_REMEMBERED_PIECES) this.remembered.clear();
    this.remembered.set(piece, ids);
    return ids;
  }

  /** Byte-pair encoding: starts from single bytes and joins the pair of lowest rank everywhere until none is left. */
  private joinPairs(piece: string): string[] {
    let symbols = Array.from(new TextEncoder().encode(piece), (byte) => this.symbolOfByte[byte] as string);
    symbols.push(`${symbols.pop() as string}${END_OF_WORD}`);
    while (symbols.length > 1) {
      const best = this.lowestRankedPair(symbols);
      if (best === undefined) break;
      const joined: string[] = [];
      for (let at = 0; at < symbols.length; at++) {
        const left = symbols[at] as string;
        const right = symbols[at + 1];
        if (right !== undefined && `${left} ${right}` === best) {
          joined.push(left + right);
          at++;
        } else {
          joined.push(left);
        }
      }
      symbols = joined;
    }
    return symbols;
  }

  private lowestRankedPair(symbols: readonly string[]): string | undefined {
    let best: string | undefined;
    let bestRank = Infinity;
    for (let at = 0; at + 1 < symbols.length; at++) {
      const pair = `${symbols[at]} ${symbols[at + 1]}`;
      const rank = this.vocabulary.mergeRanks.get(pair);
      if (rank !== undefined && rank < bestRank) {
        best = pair;
        bestRank = rank;
      }
    }
    return best;
  }
}
