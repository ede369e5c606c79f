import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { isToBeAsked, isYes, noteAsked, type Circumstances } from '../../cli/setup-question';

let folder: string;
const root = (): string => path.join(folder, 'node_modules', 'crane-tfjs');
const asked = (changes: Partial<Circumstances> = {}): Promise<boolean> =>
  isToBeAsked({
    argv: ['detect', 'part.png'],
    terminal: true,
    environment: { CRANE_CACHE: path.join(folder, 'cache') },
    root: root(),
    setUp: async () => false,
    ...changes,
  });

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-setup-question-'));
  fs.mkdirSync(root(), { recursive: true });
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

describe('the question whether to set up native TensorFlow', () => {
  test('is put to a person whose command computes', async () => {
    expect(await asked()).toBe(true);
    expect(await asked({ environment: { CRANE_CACHE: folder, CI: '', CRANE_NO_NATIVE: '0' } })).toBe(true);
  });

  test.each<[string, () => Partial<Circumstances>]>([
    ['in a pipe', () => ({ terminal: false })],
    ['where a set-up has run', () => ({ setUp: async () => true })],
    ['of a command that computes nothing', () => ({ argv: ['weights', 'list'] })],
    ['without a command', () => ({ argv: [] })],
    ['of a call for help', () => ({ argv: ['detect', '--help'] })],
    ['offline', () => ({ argv: ['detect', 'part.png', '--offline'] })],
    ['in CI', () => ({ environment: { CRANE_CACHE: folder, CI: 'true' } })],
    ['where native TensorFlow is switched off', () => ({ environment: { CRANE_CACHE: folder, CRANE_NO_NATIVE: '1' } })],
  ])('is not put %s', async (_, changes) => {
    expect(await asked(changes())).toBe(false);
  });

  test('is not put in a checkout', async () => {
    fs.writeFileSync(path.join(root(), 'package-lock.json'), '{}');
    expect(await asked()).toBe(false);
  });

  test('is put once for each copy of the package', async () => {
    const environment = { CRANE_CACHE: path.join(folder, 'cache') };
    noteAsked(root(), environment);
    expect(await asked()).toBe(false);
    expect(await asked({ root: path.join(folder, 'another') })).toBe(true);
    noteAsked(path.join(folder, 'another'), environment);
    expect(await asked()).toBe(false);
  });

  test.each([
    ['', true],
    ['y', true],
    [' YES ', true],
    ['n', false],
    ['no', false],
    ['what?', false],
  ])('takes %j for yes: %s', (answer, yes) => expect(isYes(answer)).toBe(yes));
});
