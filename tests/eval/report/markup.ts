/** A strict reader of the markup that reports are written in, apart from the code that writes it. */
export interface Markup {
  /** Names of elements in order of opening. */
  readonly elements: readonly string[];
  /** Every attribute, its value unescaped. */
  readonly attributes: readonly { readonly element: string; readonly name: string; readonly value: string }[];
  /** Text of the page without style and script, unescaped, joined without gaps. */
  readonly text: string;
  /** Content of `style` and `script`. */
  readonly code: readonly string[];
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};
const TAG = /^<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+(?:="[^"<]*")?)*)\s*(\/?)>/;
/** Without content in HTML; here they are closed with `/>`. */
const VOID = new Set(['meta', 'link', 'img', 'input', 'wbr']);
/** Shapes of SVG, which may be closed at once. */
const SVG_SHAPES = new Set(['path', 'rect', 'circle', 'use']);

/** @throws Error at the first thing that is not well formed */
export function readMarkup(page: string): Markup {
  const elements: string[] = [];
  const attributes: { element: string; name: string; value: string }[] = [];
  const code: string[] = [];
  const open: string[] = [];
  let text = '';
  let rest = page.replace(/^<!DOCTYPE html>/, '');
  const fail = (why: string): never => {
    throw new Error(`${why} at: ${rest.slice(0, 120)}`);
  };
  while (rest !== '') {
    if (!rest.startsWith('<')) {
      const end = rest.indexOf('<');
      const piece = end < 0 ? rest : rest.slice(0, end);
      text += unescape(piece, fail);
      rest = rest.slice(piece.length);
      continue;
    }
    const match = TAG.exec(rest);
    if (!match) return fail('not a tag');
    const [tag, closing, name, list, selfClosed] = match as unknown as [string, string, string, string, string];
    rest = rest.slice(tag.length);
    if (closing) {
      if (open.pop() !== name) fail(`</${name}> closes nothing`);
      continue;
    }
    elements.push(name);
    const names = new Set<string>();
    for (const [, attribute, value] of list.matchAll(/([a-zA-Z:-]+)(?:="([^"]*)")?/g)) {
      if (names.has(attribute as string)) fail(`${attribute} twice on ${name}`);
      names.add(attribute as string);
      attributes.push({ element: name, name: attribute as string, value: unescape(value ?? '', fail) });
    }
    if (selfClosed ? !VOID.has(name) && !SVG_SHAPES.has(name) : VOID.has(name)) fail(`${name} closed in the wrong way`);
    if (selfClosed) continue;
    if (name === 'style' || name === 'script') {
      const end = rest.indexOf(`</${name}>`);
      if (end < 0) fail(`${name} is not closed`);
      code.push(rest.slice(0, end));
      rest = rest.slice(end + name.length + 3);
      continue;
    }
    open.push(name);
  }
  if (open.length > 0) fail(`${open.join(' ')} not closed`);
  return { elements, attributes, text, code };
}

function unescape(piece: string, fail: (why: string) => never): string {
  return piece.replace(/&[^;\s]*;?/g, (entity) => ENTITIES[entity] ?? fail(`unknown entity ${entity}`));
}
