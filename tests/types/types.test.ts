import * as fs from 'node:fs';
import * as path from 'node:path';
import * as ts from 'typescript';

const file = path.join(__dirname, 'library.ts');
const source = fs.readFileSync(file, 'utf8');

/** What the compiler says of the file when all that it imports from the library is of the type `any`. */
function diagnosticsWithLooseTypes(): readonly ts.Diagnostic[] {
  const names = /import \{([^}]*)\} from '..\/..\/index'/.exec(source)?.[1] ?? '';
  const loose = names
    .split(',')
    .map((name) => name.replace('type', '').trim())
    .filter((name) => name !== '')
    .map((name) => `export type ${name} = any; export const ${name}: any;`)
    .join('\n');
  const files: Readonly<Record<string, string>> = {
    [file]: source,
    [path.join(__dirname, '../../index.d.ts')]: loose,
    [path.join(__dirname, 'others.d.ts')]:
      `declare module '@tensorflow/tfjs' { export type Tensor3D = any; } declare module 'sharp' { export type Sharp = any; }`,
  };
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.esnext.disposable.d.ts'],
    types: [],
    strict: true,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) =>
    path.normalize(name) in files || (/node_modules.typescript/.test(name) && fileExists(name));
  host.getSourceFile = (name, ...rest) => {
    const text = files[path.normalize(name)];
    return text === undefined ? getSourceFile(name, ...rest) : ts.createSourceFile(name, text, ts.ScriptTarget.ES2022);
  };
  const program = ts.createProgram([file, path.join(__dirname, 'others.d.ts')], options, host);
  return ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
}

test('every error that is expected of a program would be missed if the types were looser', () => {
  const expected = source.split('\n').flatMap((line, index) => (line.includes('@ts-expect-error') ? [index + 1] : []));
  expect(expected.length).toBeGreaterThan(30);
  // This directive suppresses no error.
  const unused = diagnosticsWithLooseTypes().filter(({ code }) => code === 2578);
  const lines = unused.map(({ start = 0, file: at }) => 1 + (at?.getLineAndCharacterOfPosition(start).line ?? -1));
  expect(lines).toEqual(expected);
});
