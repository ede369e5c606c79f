/** Finished markup. Only `html` and `trusted` make it, so that no text can reach a page unescaped. */
export class Html {
  constructor(readonly markup: string) {}
  toString(): string {
    return this.markup;
  }
}

/** What a template accepts: text and numbers are escaped, lists are joined, anything else is left out. */
export type Insertable = Html | string | number | readonly Insertable[] | null | undefined | false;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Text for an element or a quoted attribute. Control characters, which a page may not contain, become a visible mark,
 * as do lone surrogates, which cannot be written as UTF-8.
 */
function escapeText(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cs}]/gu, (character) => (/[\t\n\r]/.test(character) ? character : '\ufffd'))
    .replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

/** A template of markup whose insertions are escaped: html`<b>${name}</b>`. Attributes must be quoted. */
export function html(parts: TemplateStringsArray, ...insertions: readonly Insertable[]): Html {
  return new Html(
    parts.reduce(
      (markup, part, index) => markup + part + (index < insertions.length ? markupOf(insertions[index]) : ''),
      '',
    ),
  );
}

/** Markup that this program wrote itself: style, script, path data. Never anything from outside. */
export function trusted(markup: string): Html {
  return new Html(markup);
}

function markupOf(insertion: Insertable): string {
  if (insertion instanceof Html) return insertion.markup;
  if (Array.isArray(insertion)) return (insertion as readonly Insertable[]).map(markupOf).join('');
  if (insertion === null || insertion === undefined || insertion === false) return '';
  return escapeText(String(insertion));
}

/** A name or path that may break after its separators, so that long ones fit in narrow places. */
export function breakable(name: string): Html {
  return html`${name.split(/(?<=[_/@.-])/).map((part, index) => html`${index > 0 && trusted('<wbr/>')}${part}`)}`;
}

/** The same, with headings lowered by some levels, to nest in another page. Escaped text cannot look like a heading. */
export function demoted({ markup }: Html, levels: number): Html {
  return new Html(
    markup.replace(
      /<(\/?)h([1-6])(?=[ >])/g,
      (_, slash: string, level: string) => `<${slash}h${Math.min(6, Number(level) + levels)}`,
    ),
  );
}
