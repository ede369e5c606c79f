import type { Random } from '../random';
import { disturbBytes, HOSTILE_NAMES } from './values';

/** Text of a CSV table with changed cells, rows, separators and quotes. @param words cells that the reader knows */
export function mutateTable(
  random: Random,
  original: readonly (readonly string[])[],
  words: readonly string[],
): Buffer {
  let rows = original.map((row) => [...row]);
  for (let round = random.few(5); round > 0 && rows.length > 0; round--) {
    const at = random.below(rows.length);
    const row = rows[at] as string[];
    const column = random.below(row.length);
    switch (random.below(9)) {
      case 0:
        rows = rows.toSpliced(at, 1);
        break;
      case 1:
        rows = rows.toSpliced(at, 0, row);
        break;
      case 2:
        rows = rows.with(at, row.toSpliced(column, 1));
        break;
      case 3:
        rows = rows.with(at, row.toSpliced(column, 0, cell(random, words)));
        break;
      case 4:
        rows = rows.map((each) => each.toSpliced(column, 0, each[random.below(each.length)] ?? ''));
        break;
      case 5:
        if (random.chance(0.05))
          rows = rows.with(
            at,
            Array.from({ length: 3000 }, (_, index) => row[index % Math.max(row.length, 1)] ?? ''),
          );
        break;
      default:
        rows = rows.with(at, row.toSpliced(column, 1, cell(random, words)));
    }
  }
  const separator = random.chance(0.85) ? ',' : random.pick([';', '\t', '|', ', ']);
  const end = random.chance(0.85) ? '\n' : random.pick(['\r\n', '\r', '\n\n', '\u2028']);
  const text = `${random.chance(0.05) ? '\ufeff' : ''}${rows.map((row) => row.map((value) => (random.chance(0.1) ? `"${value}"` : value)).join(separator)).join(end)}`;
  return Buffer.from(random.chance(0.1) ? disturbBytes(random, Buffer.from(text)) : text);
}

function cell(random: Random, words: readonly string[]): string {
  if (random.chance(0.1)) return random.pick(['"', '""', '"""', '"a', 'a"b', '"a\nb"', ',', ' ', '=1+1', '\0']);
  return random.pick(random.chance(0.6) ? words : HOSTILE_NAMES);
}
