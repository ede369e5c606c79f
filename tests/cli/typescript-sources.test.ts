import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

const registering = path.resolve(__dirname, '../../bin/typescript-sources.js');
const packages = path.resolve(__dirname, '../../node_modules');

let root: string;
const inRoot = (...parts: string[]): string => path.join(root, ...parts);
const cache = (): string => inRoot('node_modules', '.cache', 'crane-tfjs');

beforeEach(() => {
  root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'crane-sources-')));
  fs.mkdirSync(inRoot('node_modules'));
  for (const name of ['ts-node', 'typescript']) fs.symlinkSync(path.join(packages, name), inRoot('node_modules', name));
  fs.writeFileSync(
    inRoot('tsconfig.json'),
    JSON.stringify({ compilerOptions: { module: 'CommonJS', target: 'ES2022' } }),
  );
  fs.mkdirSync(inRoot('parts'));
  fs.writeFileSync(inRoot('parts', 'value.ts'), 'export const value: number = 1;');
  fs.writeFileSync(
    inRoot('main.ts'),
    "import { value } from './parts/value';\nexport const twice: number = value * 2;\nexport const where = (): string => new Error().stack ?? '';",
  );
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

/** What main.ts gives in a new process, and whether the compiler was needed for it. */
function run(): { twice: number; where: string; translated: boolean } {
  const script = `
    require(${JSON.stringify(registering)}).registerTypeScript(${JSON.stringify(root)});
    process.setSourceMapsEnabled(true);
    const { twice, where } = require(${JSON.stringify(inRoot('main.ts'))});
    const translated = Object.keys(require.cache).some((file) => /typescript\\.js$/.test(file));
    console.log(JSON.stringify({ twice, where: where(), translated }));`;
  return JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })) as ReturnType<typeof run>;
}

test('sources are translated once; stack traces name their lines', () => {
  expect(run()).toMatchObject({ twice: 2, translated: true });
  const second = run();
  expect(second).toMatchObject({ twice: 2, translated: false });
  expect(second.where).toContain(`${inRoot('main.ts')}:3:`);
  expect(fs.readdirSync(cache()).sort()).toEqual(['main.ts.js', 'parts+value.ts.js']);
});

test('a file that changed, settings that changed and a damaged copy are translated anew', () => {
  run();
  fs.writeFileSync(inRoot('parts', 'value.ts'), 'export const value: number = 5;');
  expect(run()).toMatchObject({ twice: 10, translated: true });
  fs.appendFileSync(inRoot('tsconfig.json'), ' ');
  expect(run()).toMatchObject({ twice: 10, translated: true });
  fs.writeFileSync(path.join(cache(), 'parts+value.ts.js'), 'exports.value = 7;');
  expect(run()).toMatchObject({ twice: 10, translated: true });
  expect(run()).toMatchObject({ twice: 10, translated: false });
});

test('a checkout that cannot be written works as well', () => {
  fs.writeFileSync(inRoot('node_modules', '.cache'), 'a file in the place of the folder');
  expect(run()).toMatchObject({ twice: 2, translated: true });
  expect(run()).toMatchObject({ twice: 2, translated: true });
});
