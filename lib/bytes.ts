import { UsageError } from './errors';

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes in words of decimal units, such as `934 MB`. */
export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

/**
 * The number of bytes that a person wrote, such as `20GB`, `1.5 gb` or `500MB`; units are decimal; a bare number means bytes.
 * @param name of the option, for the message
 * @throws UsageError `usage/bytes`
 */
export function parseBytes(text: string, name: string): number {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*(k|m|g|t)?(?:b|bytes)?\s*$/i.exec(text) ?? [];
  if (number === undefined) {
    throw new UsageError('usage/bytes', `${name} ${text}: expected a size such as 20GB or 500MB`, { found: text });
  }
  return Math.round(Number(number) * 1000 ** (unit === undefined ? 0 : 'kmgt'.indexOf(unit.toLowerCase()) + 1));
}
