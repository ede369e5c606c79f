import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { programHash } from '../../../eval/benchmark/program-hash';

test('changes with the code that measures, and not with data, documents, declarations or what shows results', () => {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-program-'));
  const write = (file: string, text: string): void => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  };
  try {
    const counted = [
      'lib/layers/e-attn.ts',
      'lib/crane.js',
      'datasets/layouts/visa.ts',
      'datasets/sample.ts',
      'eval/metrics/aupro.ts',
      'eval/evaluator.ts',
    ];
    const apart = [
      'datasets/data/mvtec/x.js',
      'eval/report/page.ts',
      'eval/benchmark/tables.ts',
      'eval/recipes.ts',
      'cli/eval.ts',
      'lib/README.md',
      'lib/crane.d.ts',
      'cli/crane.ts',
    ];
    for (const file of [...counted, ...apart]) write(file, 'one');
    const first = programHash(root);
    for (const file of apart) write(file, 'two');
    expect(programHash(root)).toBe(first);
    for (const file of counted) {
      const before = programHash(root);
      write(file, 'two');
      expect(programHash(root)).not.toBe(before);
    }
    write('lib/more.ts', '');
    expect(programHash(root)).not.toBe(first);
    expect(programHash()).toMatch(/^[0-9a-f]{64}$/);
  } finally {
    fs.rmSync(root, { recursive: true });
  }
});
