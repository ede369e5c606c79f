/** A text as a part of a regular expression that matches it alone. */
export function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Names that do not begin with a prefix: what a training checkpoint keeps beside the network. None where there is no prefix. */
export function outside(prefix: string): RegExp[] {
  return prefix === '' ? [] : [new RegExp(`^(?!${literal(prefix)})`)];
}
