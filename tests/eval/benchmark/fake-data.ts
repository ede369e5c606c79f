import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { writeStandIn, type StandInOptions } from '../../../tools/stand-ins';

/** A folder of a test's own, with a data folder of fake sets that registered names are looked for in. */
export class FakeData {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-benchmark-'));
  readonly data = path.join(this.folder, 'data');
  private readonly before = { CRANE_DATA: process.env['CRANE_DATA'], CRANE_CACHE: process.env['CRANE_CACHE'] };

  constructor() {
    process.env['CRANE_DATA'] = this.data;
    // KolektorSDD's tiles are cut into the cache folder.
    process.env['CRANE_CACHE'] = path.join(this.folder, 'cache');
  }

  async write(
    names: readonly string[],
    options: StandInOptions = { imagesPerCategory: 4, imageSize: 32 },
  ): Promise<void> {
    for (const name of names) await writeStandIn(name, this.data, options);
  }

  path(...parts: string[]): string {
    return path.join(this.folder, ...parts);
  }

  remove(): void {
    for (const [name, value] of Object.entries(this.before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
