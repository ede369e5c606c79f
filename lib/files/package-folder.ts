import * as fs from 'node:fs';
import * as path from 'node:path';

/**
 * The folder of this package, where the embedded backbone is, from a source file and from a compiled one alike.
 */
export function packageFolder(): string {
  let folder = __dirname;
  while (!isPackage(folder)) {
    const above = path.dirname(folder);
    // Without a package.json above, as in a bundle, files are looked for beside the program.
    if (above === folder) return process.cwd();
    folder = above;
  }
  return folder;
}

function isPackage(folder: string): boolean {
  try {
    const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as { name?: string };
    return manifest.name === 'crane-tfjs';
  } catch {
    return false;
  }
}
