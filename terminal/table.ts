import { shownInLine } from './terminal-text';

export { formatBytes } from '../lib/bytes';

export interface TableColumn {
  readonly title: string;
  /** Numbers are best aligned right. Default left. */
  readonly align?: 'left' | 'right';
}

export type TableStyle = 'plain' | 'markdown';

/**
 * Lays out rows as text without a final line end. A row of `null` draws a rule in plain style, for instance above
 * a mean, and nothing in Markdown, which has no rules inside a table. Short rows are filled with empty cells. Control
 * characters are escaped, line ends too; in Markdown, line ends become blanks.
 */
export function formatTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[] | null)[],
  style: TableStyle = 'plain',
): string {
  const clean = (cell: string): string =>
    shownInLine(style === 'markdown' ? cell.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ') : cell);
  const titles = columns.map((column) => clean(column.title));
  const cells = rows.map((row) => row && columns.map((_, index) => clean(row[index] ?? '')));
  const widths = columns.map((_, index) =>
    Math.max(3, ...[titles, ...cells].map((row) => (row ? displayWidth(row[index] as string) : 0))),
  );
  const line = (row: readonly string[]): string => {
    const padded = row.map((cell, index) => pad(cell, widths[index] as number, columns[index]?.align ?? 'left'));
    return style === 'markdown' ? `| ${padded.join(' | ')} |` : padded.join('  ').trimEnd();
  };
  const rule =
    style === 'markdown'
      ? `| ${widths.map((width, index) => (columns[index]?.align === 'right' ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width))).join(' | ')} |`
      : widths.map((width) => '─'.repeat(width)).join('  ');
  const body = cells.flatMap((row) => (row ? [line(row)] : style === 'plain' ? [rule] : []));
  return [line(titles), rule, ...body].join('\n');
}

/** Columns that a text takes on a terminal: none for combining marks, two for wide East Asian characters and emoji. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text.normalize('NFC')) {
    if (/\p{Mark}|\p{Format}|\p{Control}/u.test(char)) continue;
    width +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
        char,
      )
        ? 2
        : 1;
  }
  return width;
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'right' ? space + text : text + space;
}
