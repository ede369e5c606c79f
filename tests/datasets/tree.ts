import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';

/** Real samples beside the checkout; never part of it. */
const samplesFolder: string | undefined = [
  process.env['CRANE_SAMPLES'],
  path.resolve(__dirname, '../../../shared/data'),
].find((folder): folder is string => folder !== undefined && fs.existsSync(path.join(folder, 'headct')));

/** `describe`, but counted as skipped, and said loudly, where the real samples are missing. */
export function describeWithSamples(title: string, body: (folder: string) => void): void {
  if (samplesFolder !== undefined) {
    const folder = samplesFolder;
    describe(title, () => body(folder));
    return;
  }
  process.stderr.write(
    `\nSAMPLES NOT FOUND: skipping "${title}". Set CRANE_SAMPLES to the folder that holds headct, mvtec and others.\n`,
  );
  describe.skip(title, () => {
    test('needs real samples', () => undefined);
  });
}

/** A folder that a test fills; removed by `removeTrees`. */
export function makeTree(files: readonly string[] | Readonly<Record<string, string | Buffer>>, name = 'set'): string {
  const parent = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-tree-'));
  made.push(parent);
  const root = path.join(parent, name);
  fs.mkdirSync(root);
  const entries: (readonly [string, string | Buffer])[] = Array.isArray(files)
    ? (files as readonly string[]).map((file) => [file, ''] as const)
    : Object.entries(files as Readonly<Record<string, string | Buffer>>);
  for (const [file, content] of entries) {
    const target = path.join(root, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, content);
  }
  return root;
}

const made: string[] = [];

export function removeTrees(): void {
  for (const folder of made.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
}

/** A PNG of one grey level with one sample of another level in a corner. */
export function png(width: number, height: number, level: number, corner = level): Promise<Buffer> {
  const data = Buffer.alloc(width * height, level);
  data[0] = corner;
  return sharp(data, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
}
