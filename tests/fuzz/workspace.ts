import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Files } from './target';

/** In memory where the system has such a place: a mutant is written, read once and forgotten. */
function scratchParent(): string {
  try {
    fs.accessSync('/dev/shm', fs.constants.W_OK);
    return '/dev/shm';
  } catch {
    return os.tmpdir();
  }
}

export function makeScratch(): string {
  return fs.mkdtempSync(path.join(scratchParent(), 'crane-fuzz-'));
}

/** A folder that holds the files of one mutant after the other; what stays the same is not written again. */
export class Workspace {
  private present = new Map<string, Uint8Array>();

  /** @param folder made where it is missing */
  constructor(readonly folder: string) {
    fs.mkdirSync(folder, { recursive: true });
  }

  place(files: Files): void {
    const entries = Object.entries(files);
    for (const name of this.present.keys()) {
      if (!(name in files)) {
        fs.rmSync(path.join(this.folder, name), { force: true });
        this.present.delete(name);
      }
    }
    for (const [name, content] of entries) {
      if (this.present.get(name) === content) continue;
      const file = path.join(this.folder, name);
      if (!this.present.has(name)) fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, content);
      this.present.set(name, content);
    }
  }

  remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true });
    this.present = new Map();
  }
}
