import { BARE_NAMES, NAMED_REFERENCES } from './html-entities';
import { repairMojibake, replaceC1Controls } from './mojibake';

/**
 * Text as CLIP's tokenizer wants it: repaired, HTML character references decoded twice, white space collapsed, lower
 * case. The repair is what ftfy 6.3 does with its defaults, as far as `mojibake.ts` goes.
 */
export function cleanText(text: string): string {
  const decoded = decodeReferences(decodeReferences(repairText(text)));
  return decoded
    .replace(/\p{White_Space}+/gu, ' ')
    .trim()
    .toLowerCase();
}

/** Repairs each line until nothing changes: see `repairStep` for what is repaired. */
export function repairText(text: string): string {
  let decodesReferences = true;
  return text
    .split(/(?<=\n)/)
    .map((line) => {
      // A `<` means that references are likely markup on purpose, from this line on.
      if (line.includes('<')) decodesReferences = false;
      for (let before = line; ;) {
        const after = repairStep(before, decodesReferences);
        if (after === before) return after;
        before = after;
      }
    })
    .join('');
}

/**
 * Decodes HTML character references as browsers do: named ones (longest name first, some without semicolon), decimal
 * and hexadecimal ones; `&#128;` to `&#159;` mean Windows-1252; control characters vanish.
 */
export function decodeReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu, (reference) =>
    reference[1] === '#' ? numericReference(reference) : bareOrNamedReference(reference),
  );
}

function repairStep(line: string, decodesReferences: boolean): string {
  let text = decodesReferences ? decodeClosedReferences(line) : line;
  text = repairMojibake(text);
  text = replaceC1Controls(text);
  text = text.replace(LIGATURES, (ligature) => LETTERS_OF_LIGATURE[ligature] as string);
  text = text.replace(/[\u3000\uff01-\uffef]/g, (wide) => wide.normalize('NFKC'));
  text = text.replace(/[\u02bc\u2018-\u201b]/g, "'").replace(/[\u201c-\u201f]/g, '"');
  text = text.replace(/\r\n|[\r\u2028\u2029]/g, '\n');
  text = text.replace(/\p{Surrogate}/gu, '\ufffd');
  text = text.replace(TERMINAL_ESCAPES, '').replace(CONTROLS, '');
  return text.normalize('NFC');
}

/* eslint-disable no-control-regex -- control characters are what these look for */
const TERMINAL_ESCAPES = /\x1b\[[\p{Nd};]*[a-zA-Z]/gu;
/** Controls that never mean anything in text; tab, line feed, form feed and carriage return stay. */
const CONTROLS = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
/* eslint-enable no-control-regex */

/** Ligatures and digraphs of Latin letters that come from typesetting and from conversion between alphabets. */
const LETTERS_OF_LIGATURE: Readonly<Record<string, string>> = {
  '\u0132': 'IJ', '\u0133': 'ij', '\u0149': '\u02bcn',
  '\u01c4': 'D\u017d', '\u01c5': 'D\u017e', '\u01c6': 'd\u017e',
  '\u01c7': 'LJ', '\u01c8': 'Lj', '\u01c9': 'lj', '\u01ca': 'NJ', '\u01cb': 'Nj', '\u01cc': 'nj',
  '\u01f1': 'DZ', '\u01f2': 'Dz', '\u01f3': 'dz',
  '\ufb00': 'ff', '\ufb01': 'fi', '\ufb02': 'fl', '\ufb03': 'ffi', '\ufb04': 'ffl', '\ufb05': '\u017ft', '\ufb06': 'st',
}; // prettier-ignore
const LIGATURES = new RegExp(`[${Object.keys(LETTERS_OF_LIGATURE).join('')}]`, 'g');

const NAMED = new Map(
  NAMED_REFERENCES.trim()
    .split(/\s+/)
    .map((entry) => {
      const [name, codes] = entry.split('=') as [string, string];
      return [name, String.fromCodePoint(...codes.split('-').map((code) => parseInt(code, 16)))];
    }),
);
const BARE = new Set(BARE_NAMES.trim().split(/\s+/));

/** Only references that end in a semicolon; also spellings such as `&EACUTE;` where they mean nothing else. */
function decodeClosedReferences(text: string): string {
  return text.replace(/&#?[0-9A-Za-z]{1,24};/g, (reference) => {
    if (reference[1] === '#') {
      const decoded = decodeReferences(reference);
      return decoded.includes(';') ? reference : decoded;
    }
    const name = reference.slice(1, -1);
    const lower = name.toLowerCase();
    const isShouted = name === name.toUpperCase() && NAMED.has(lower) && decodeReferences(reference) === reference;
    return NAMED.get(name) ?? (isShouted ? (NAMED.get(lower) as string).toUpperCase() : reference);
  });
}

function bareOrNamedReference(reference: string): string {
  const name = reference.slice(1);
  const closed = name.endsWith(';') ? NAMED.get(name.slice(0, -1)) : undefined;
  if (closed !== undefined) return closed;
  for (let length = name.length; length > 1; length--) {
    const start = name.slice(0, length);
    if (BARE.has(start)) return `${NAMED.get(start) as string}${name.slice(length)}`;
  }
  return reference;
}

function numericReference(reference: string): string {
  const digits = reference.replace(';', '').slice(2);
  const code = /^[xX]/.test(digits) ? parseInt(digits.slice(1), 16) : parseInt(reference.slice(2), 10);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return '\ufffd';
  if (code >= 0x80 && code <= 0x9f) return replaceC1Controls(String.fromCharCode(code));
  const isControl = code < 0x20 && !(code === 0x09 || code === 0x0a || code === 0x0c || code === 0x0d);
  const isNoncharacter = (code & 0xfffe) === 0xfffe || (code >= 0xfdd0 && code <= 0xfdef);
  return isControl || code === 0x7f || isNoncharacter ? '' : String.fromCodePoint(code);
}
