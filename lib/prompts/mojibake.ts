/**
 * Repair of text that was written as UTF-8 and then read as Latin-1 or Windows-1252, as in `schÃ¶n` for `schön`. Done
 * as the reference's text repair (ftfy 6.3) does it for these two encodings: a whole line when all of it decodes, else
 * single runs that can hardly be anything but garbled UTF-8, again until nothing changes.
 *
 * What ftfy also repairs and this does not: the encodings Windows-1250, 1251, 1253, 1254, 1257, ISO-8859-2, MacRoman
 * and CP437; bytes lost on the way (`?` and U+FFFD, or a space in place of U+00A0); CESU-8. Where ftfy finds a run plausible as
 * it stands by its statistics of neighbouring letters, the rule here (`isGarbled`) is coarser.
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

/** Undoes wrong decodings of one line, also repeated ones. Text that does not look garbled is returned as it is. */
export function repairMojibake(line: string): string {
  for (let text = line; ; ) {
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

/** Whether a text has a pair of characters that people do not write beside each other, but garbled UTF-8 does. */
function isGarbled(text: string): boolean {
  return SUSPICIOUS.test(text);
}

const SUSPICIOUS = new RegExp(`[\\xc2-\\xf4]${CONTINUATION}`, 'u');

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
