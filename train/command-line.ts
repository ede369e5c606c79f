/** Options that say where and how a run is kept, and nothing about what it gives; those that take a value, and switches. */
const WITH_VALUE = ['out', 'resume', 'save-every', 'cache-size'];
const SWITCHES = ['overwrite', 'json', 'verbose', 'offline', 'cache', 'no-cache', 'print-config'];

/**
 * The command line that gives the same prompts again. Places of its own are left out, so that equal runs say the same
 * wherever they lie.
 * @param words as typed after `crane`
 */
export function repeatable(words: readonly string[]): string {
  const kept: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    const name = /^--([^=]+)/.exec(word)?.[1]?.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (name !== undefined && SWITCHES.includes(name)) continue;
    if (name !== undefined && WITH_VALUE.includes(name)) {
      if (!word.includes('=')) at++;
      continue;
    }
    kept.push(word);
  }
  return ['crane', ...kept].map(shellWord).join(' ');
}

/** As a shell takes it. */
export function shellWord(text: string): string {
  return /[^\w./@:,=+-]/.test(text) || text === '' ? `'${text.replaceAll("'", `'\\''`)}'` : text;
}
