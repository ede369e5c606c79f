import { UsageError } from '../lib/errors';
import { nearestName } from '../lib/nearest-name';
import { checkRange } from './number-ranges';

/** What a parser knows about the options of the running command. */
export interface DeclaredOptions {
  readonly key: Readonly<Record<string, unknown>>;
  readonly array: readonly string[];
  readonly number: readonly string[];
  readonly string: readonly string[];
}

/**
 * Rewrites `--json -` as `--json=-`, since the parser treats a lone dash as an argument or drops it; and names after
 * `--` so that they do not begin with a dash, since the parser passes those to no command.
 * @throws UsageError for a dash that follows no option: no command reads standard input
 */
export function joinDashes(argv: readonly string[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const joined: string[] = [];
  for (const [index, word] of argv.slice(0, end).entries()) {
    const before = argv[index - 1];
    if (word !== '-') joined.push(word);
    else if (before !== undefined && /^--[^=]+$/.test(before)) joined[joined.length - 1] = `${before}=-`;
    else
      throw new UsageError(
        'usage/dash',
        'A lone "-" means standard output after an option, as in --json -; standard input is not read. Give files, folders or URLs.',
        {},
      );
  }
  return [...joined, ...argv.slice(end + 1).map((name) => (name.startsWith('-') ? `./${name}` : name))];
}

/**
 * Rejects what the parser lets through: a repeated value, an invalid number, a missing text.
 * @param argv the arguments as typed, for messages
 * @throws UsageError naming the option, what was found and what was expected
 */
export function checkArguments(
  args: Readonly<Record<string, unknown>>,
  declared: DeclaredOptions,
  argv: readonly string[],
): void {
  for (const [name, value] of Object.entries(args)) {
    if (name === '_' || name === '--' || declared.array.includes(name) || !(name in declared.key)) continue;
    if (value === undefined && !argv.includes(`--${name}`)) continue;
    if (Array.isArray(value)) {
      throw new UsageError(
        'usage/repeated',
        `--${name} is given ${value.length} times (${value.join(', ')}). Give it once; write a list with commas.`,
        { option: name, found: value },
      );
    }
    if (declared.number.includes(name) && (typeof value !== 'number' || Number.isNaN(value))) {
      throw new UsageError('usage/number', `--${name}${typed(name, argv)}: expected a number.`, {
        option: name,
        found: value,
      });
    }
    if (declared.number.includes(name) && typeof value === 'number') checkRange(name, value);
    if (declared.string.includes(name) && (value === '' || typeof value !== 'string')) {
      throw new UsageError('usage/value', `--${name} needs a value after it. See --help.`, {
        option: name,
        found: value,
      });
    }
  }
}

/** The value as typed after an option, preceded by a space; empty where it came from elsewhere. */
function typed(name: string, argv: readonly string[]): string {
  const joined = argv.find((word) => word.startsWith(`--${name}=`));
  if (joined !== undefined) return ` ${joined.slice(name.length + 3)}`;
  const value = argv[argv.indexOf(`--${name}`) + 1];
  return argv.includes(`--${name}`) && value !== undefined && !value.startsWith('--') ? ` ${value}` : '';
}

export { nearestName };

/** Explains an option that does not exist: what may have been meant, and where it is if not on the command line. */
export function unknownOption(message: string, declared: DeclaredOptions, argv: readonly string[]): string {
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1]?.split(', ');
  if (unknown === undefined) return message;
  // Every option has a spelling with dashes and one without; people type the former.
  const known = Object.keys(declared.key).filter((name) => !/[A-Z]/.test(name) && !/^\$|^_$/.test(name));
  const spelt = [...new Set(unknown.map((name) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)))];
  const parts = spelt.map((name) => {
    const wasTyped = argv.some(
      (word) => word.replace(/^-+/, '').replace(/^no-/, '').split('=')[0]?.toLowerCase() === name.toLowerCase(),
    );
    const isWord = argv.includes(name);
    const hint = isWord ? undefined : nearestName(name, known);
    const dashes = isWord ? '' : name.length === 1 ? '-' : '--';
    const place =
      wasTyped || isWord || !argv.some((word) => word.startsWith('--config')) ? '' : ' in the --config file';
    return `${dashes}${name}${place}${hint === undefined ? '' : ` (did you mean --${hint}?)`}`;
  });
  const what = unknown.every((name) => argv.includes(name)) ? 'argument' : 'option';
  return `Unknown ${what}${parts.length === 1 ? '' : 's'}: ${parts.join(', ')}.`;
}
