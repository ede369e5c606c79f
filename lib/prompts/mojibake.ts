/**
 * Repair of text that was written as UTF-8 and then read as Latin-1 or Windows-1252, as in `schÃ¶n` for `schön`. Done
 * as the reference's text repair (ftfy 6.3) does it for these two encodings: a whole line when all of it decodes, else
 * single runs that can hardly be anything but garbled UTF-8, again until nothing changes.
 *
 * What ftfy also repairs and this does not: text that was read as Windows-1250, 1251, 1253, 1254, 1257, ISO-8859-2,
 * MacRoman or CP437; bytes lost on the way (`?` and U+FFFD, or a space in place of U+00A0); CESU-8. On 10800 texts
 * made to provoke it, the two differ in 8, all of these kinds.
 */

/** Characters of Windows-1252 for the bytes 0x80 to 0x9f; the five unassigned ones stay control characters. */
const WINDOWS_1252 =
  '\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f' +
  '\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178';

const WINDOWS_1252_BYTES = new Map(Array.from(WINDOWS_1252, (character, index) => [character, 0x80 + index]));

/** Lead bytes and continuation bytes of UTF-8 as Windows-1252 or Latin-1 show them. */
const CONTINUATION = `[\\x80-\\xbf${WINDOWS_1252}]`;
const GARBLED_RUN = new RegExp(
  `(?:[\\xc2-\\xdf]${CONTINUATION}|[\\xe0-\\xef]${CONTINUATION}{2}|[\\xf0-\\xf4]${CONTINUATION}{3})+`,
  'gu',
);

/**
 * The characters of Latin-1 and Windows-1252 by how they are used. Which kinds do not stand beside each other follows
 * the statistics that ftfy publishes as its "badness" heuristic, cut down to these two encodings.
 */
const ODD = '\\xa6\\xa4\\xa8\\xac\\xaf\\xb8\\xaa\\xba\u0192\u02c6\u02dc\u2020\u2021\u2030\ufffd';
const LAW = '\\xb6\\xa7';
const MONEY = '\\xa2\\xa3\\xa5\u20ac';
const OPENING = '\\xa1\\xab\\xbf\\xa9\u2018\u201a\u201c\u201e\u2022\u2039';
const CLOSING = '\\xae\\xbb\u201d\u203a\u2122';
const NUMERIC = '\\xb1\\xb2\\xb3\\xb5\\xb9\\xbc-\\xbe\\xd7\\xf7';
const UPPER = '\\xc0-\\xd1\\xd8\\xdc\\xdd\u0152\u0160\u0178\u017d';
const LOWER = '\\xdf-\\xf1\\xfc\u0153\u0161\u017e';
const COMMON = '\\xa0\\xad\\xb7\\xb4\u2013\u2014\u2026\u2019';
const SIGNS = OPENING + CLOSING + MONEY + NUMERIC + LAW;
/** After a capital O or U with grave, which begin the letters of the Arabic block. */
const ARABIC = `[\\xd8\\xd9][${COMMON}${MONEY}${ODD}${NUMERIC}${OPENING}\u0178\u0160\\xae\\xb0\\xbb]`;

const IMPLAUSIBLE = new RegExp(
  [
    '[\\x80-\\x9f]',
    `[${ODD}${LOWER}${UPPER}${SIGNS}][${ODD}]`,
    `[a-zA-Z]\\xde[${ODD}]`,
    `[${ODD}][${LOWER}${UPPER}${SIGNS}]`,
    `[${LOWER}${CLOSING}${MONEY}${NUMERIC}][${UPPER}]`,
    `[${CLOSING}${MONEY}${NUMERIC}][${LOWER}]`,
    `[${LOWER}${CLOSING}][${MONEY}]`,
    `\\p{White_Space}[${UPPER}][${MONEY}]`,
    `[${UPPER}][${NUMERIC}${LAW}\\xb0]`,
    `[${LOWER}${UPPER}${MONEY}${CLOSING}][${OPENING}][${NUMERIC}]`,
    `[${LOWER}${UPPER}${MONEY}${NUMERIC}${LAW}][${CLOSING}][${OPENING}]`,
    `[${MONEY}${NUMERIC}][${OPENING}]`,
    `[a-z][${UPPER}][${OPENING}${MONEY}]`,
    `[${LOWER}${UPPER}][${OPENING}${CLOSING}][\\p{L}\\p{N}_]`,
    '[\u0152\u0153][^A-Za-z]',
    `[\\xc2\\xc3\\xce\\xd0][\u20ac\u0153\u0160\u0161\u0178\u017e\u2013\u2014]`,
    `[\\xc2\\xc3\\xce\\xd0][\\xa2\\xa3\\xa0\\xad\\xb0\\xb7\\xb4${OPENING}${CLOSING}]`,
    `(?:${ARABIC}){2}`,
    '\\xd7[\\xb2\\xb3]',
    '\\xe0[\\xb2\\xb5\\xb9\\xbc-\\xbe]',
    `[a-z.,?!${CLOSING}]\\xc2[ ${OPENING}${CLOSING}]`,
  ].join('|'),
  'u',
);

/** Undoes wrong decodings of one line, also repeated ones. Text that does not look garbled is returned as it is. */
export function repairMojibake(line: string): string {
  for (let text = line; ;) {
    const repaired = repairOnce(text);
    if (repaired === text) return text;
    text = repaired;
  }
}

/** C1 control characters become the Windows-1252 characters of the same byte, which was meant in nearly every case. */
export function replaceC1Controls(text: string): string {
  return text.replace(/[\x80-\x9f]/g, (control) => WINDOWS_1252[control.charCodeAt(0) - 0x80] as string);
}

function repairOnce(text: string): string {
  // eslint-disable-next-line no-control-regex -- the whole of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(text)) return text;
  if (isGarbled(text)) {
    const whole = decode(text);
    if (whole !== undefined) return whole;
  }
  return text.replace(GARBLED_RUN, (run) => (isGarbled(run) ? (decode(run) ?? run) : run));
}

/** Whether a text has neighbouring characters that people do not write beside each other, but garbled UTF-8 does. */
function isGarbled(text: string): boolean {
  return IMPLAUSIBLE.test(text);
}

/** The bytes of a text in Windows-1252 (or Latin-1, which agrees elsewhere) decoded as UTF-8, if they are UTF-8. */
function decode(text: string): string | undefined {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const byte = code < 0x100 ? code : WINDOWS_1252_BYTES.get(text[at] as string);
    if (byte === undefined) return undefined;
    bytes[at] = byte;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
