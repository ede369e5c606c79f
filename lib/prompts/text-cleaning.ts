import { decodeHTML } from 'entities';

/**
 * Text as CLIP's tokenizer wants it: HTML character references decoded twice, characters written in one way, white space
 * collapsed, lower case. The reference repairs text with ftfy first; of that, this does what sentences and class names
 * can meet, and leaves wrongly decoded text (`schÃ¶n`) as it is.
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
/** Controls that never mean anything in text; tab, line feed, form feed and carriage return stay. */
const CONTROLS = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
/* eslint-enable no-control-regex */

/** Latin ligatures and digraphs, and letters in full or half width. */
const COMPATIBILITY_FORMS = /[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06\u3000\uff01-\uffef]/g;
