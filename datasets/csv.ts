/** One row of a CSV file by column name, with the number of its first line for messages. */
export interface CsvRow {
  readonly line: number;
  /** Without a prototype, since a column may be called `constructor`. */
  readonly values: Readonly<Record<string, string>>;
  /** Fields after the last column, such as those that a decimal comma splits off; absent where there are none. */
  readonly surplus?: readonly string[];
}

/**
 * Reads CSV text with a header: quoted fields with doubled quotes, commas and line ends in them; CRLF, or CR alone; a byte
 * order mark; blanks around names and values (HeadCT's header is `id, hemorrhage`); column names in lower case; empty lines
 * skipped. The separator is the comma, or the semicolon or tab where the header has that and no comma.
 */
export function parseCsv(text: string): { readonly columns: readonly string[]; readonly rows: readonly CsvRow[] } {
  const content = text.replace(/^\uFEFF/, '');
  const [header, ...records] = splitRecords(content, separatorOf(content));
  const columns = (header?.fields ?? []).map((field) => field.toLowerCase());
  const rows = records.map(({ line, fields }) => ({
    line,
    values: Object.assign(
      Object.create(null) as Record<string, string>,
      Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? ''])),
    ),
    ...(fields.slice(columns.length).some((field) => field !== '') ? { surplus: fields.slice(columns.length) } : {}),
  }));
  return { columns, rows };
}

function separatorOf(text: string): string {
  const header = text.split(/[\r\n]/, 1)[0] as string;
  return [',', ';', '\t'].find((separator) => header.includes(separator)) ?? ',';
}

function splitRecords(text: string, separator: string): { line: number; fields: string[] }[] {
  const records: { line: number; fields: string[] }[] = [];
  let fields: string[] = [];
  let field = '';
  let quoted = false;
  let line = 1;
  let startLine = 1;
  const endRecord = (): void => {
    fields.push(field.trim());
    if (fields.some((value) => value !== '')) records.push({ line: startLine, fields });
    fields = [];
    field = '';
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    const endsLine = char === '\n' || (char === '\r' && text[at + 1] !== '\n');
    if (endsLine) line++;
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[at + 1] === '"') field += text[++at];
      else quoted = false;
    } else if (char === '"' && field.trim() === '') {
      field = '';
      quoted = true;
    } else if (char === separator) {
      fields.push(field.trim());
      field = '';
    } else if (endsLine) {
      endRecord();
      startLine = line;
    } else {
      field += char;
    }
  }
  endRecord();
  return records;
}
