import { decodeHTML } from 'entities';

/**
 * Text as CLIP's tokenizer expects it: HTML character references decoded twice, characters normalised, white space
 * collapsed, lower case. The reference first repairs text with ftfy; this covers the part that sentences and class
 * names can need, and leaves wrongly decoded text (`schÃ¶n`) unchanged.
 */
export function cleanText(text: string): string {
  return decodeHTML(decodeHTML(text))
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .replace(TERMINAL_ESCAPES, '')
    .replace(CONTROLS, '')
    .replace(COMPATIBILITY_FORMS, (form) => form.normalize('NFKC'))
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/[\u201c-\u201f]/g, '"')
    .normalize('NFC')
    .replace(/\p{White_Space}+/gu, ' ')
    .trim()
    .toLowerCase();
}

/* eslint-disable no-control-regex -- control characters are what these look for */
const TERMINAL_ESCAPES = /\x1b\[[\p{Nd};]*[a-zA-Z]/gu;
/** Control characters with no meaning in text; tab, line feed, form feed and carriage return are kept. */
const CONTROLS = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
/* eslint-enable no-control-regex */

/** Latin ligatures and digraphs, and full-width or half-width letters. */
const COMPATIBILITY_FORMS = /[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06\u3000\uff01-\uffef]/g;
