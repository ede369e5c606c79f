import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { checkArguments, joinDashes, nearestName, unknownOption } from '../../cli/arguments';
import { UsageError } from '../../lib/errors';
import { runCrane, type Run } from './run-crane';

const program = path.resolve(__dirname, '../../bin/crane.js');
const declared = {
  key: { 'image-size': true, imageSize: true, threshold: true, json: true, save: true, images: true, verbose: true },
  array: ['images'],
  number: ['threshold', 'image-size', 'imageSize'],
  string: ['json', 'save', 'images'],
};

describe('command lines', () => {
  test.each([
    [[], /Name a command[^]*crane --help/],
    [['detekt', 'x.png'], /no command "detekt".*mean "detect".*start, detect, train/],
    [['xyzzy'], /no command "xyzzy"\. The commands are/],
    [['detect'], /No input[^]*crane detect --help/],
    [['detect', 'x.png', '--treshold', '0.3'], /Unknown option: --treshold \(did you mean --threshold\?\)/],
    [['detect', 'x.png', '--image_size', '70'], /--image_size \(did you mean --image-size\?\)/],
    [['detect', 'x.png', '--qqqqqq'], /Unknown option: --qqqqqq\.\n/],
    [['detect', 'x.png', '--backend', 'gpu'], /backend[^]*"gpu"[^]*"wasm"/],
    [['detect', '-'], /standard input is not read/],
    [['detect', ''], /empty string/],
    [['weights', 'foo'], /Unknown argument: foo/],
    [['eval'], /Missing required argument: dataset/],
    [['eval', '--dataset', 'a', '--dataset', 'b'], /--dataset is given 2 times \(a, b\)/],
    [['eval', '--dataset', 'no-such-set'], /neither a registered set nor a folder/],
    [['datasets'], /list, check, where, fetch or synthesize/],
  ] as [string[], RegExp][])('crane %j is wrong use', async (argv, message) => {
    const { code, out, err } = await runCrane(...argv);
    expect(err).toMatch(message);
    expect(err).not.toMatch(/^\s+at /m);
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  test('--verbose adds where it happened', async () => {
    expect((await runCrane('xyzzy', '--verbose')).err).toMatch(/^\s+at /m);
  });

  test('an exit code of one command does not become that of the next', async () => {
    expect((await runCrane('xyzzy')).code).toBe(2);
    expect((await runCrane('weights', 'list')).code).toBe(0);
  });

  test('as a program: help at the width of a terminal, exit code, errors apart from results', () => {
    const help = execFileSync(process.execPath, [program, 'detect', '--help'], { encoding: 'utf8' });
    expect(help).toMatch(/^Detection:/m);
    expect(help).toMatch(/^ {2}crane detect line-3\/ --out results --save overlay,npy --json scores.jsonl$/m);
    expect(help.split('\n').filter((line) => line.length > 80)).toEqual([]);
    const wrong = spawnSync(process.execPath, [program, 'detekt'], { encoding: 'utf8' });
    expect([wrong.status, wrong.stdout]).toEqual([2, '']);
    expect(wrong.stderr).toContain('Did you mean "detect"?');
  });
});

describe('arguments', () => {
  test('a dash stays with its option, and alone it is refused', () => {
    expect(joinDashes(['eval', '--json', '-', 'x'])).toEqual(['eval', '--json=-', 'x']);
    expect(joinDashes(['a', '--', '--json', '-'])).toEqual(['a', './--json', './-']);
    expect(() => joinDashes(['detect', '-', 'x.png'])).toThrow(UsageError);
  });

  test.each([
    [
      { 'image-size': [70, 71] },
      ['--image-size', '70', '--image-size', '71'],
      /--image-size is given 2 times \(70, 71\)/,
    ],
    [{ threshold: NaN }, ['--threshold', 'abc'], /--threshold abc: expected a number/],
    [{ threshold: NaN }, ['--threshold=abc'], /--threshold abc: expected a number/],
    [{ threshold: undefined }, ['--threshold'], /--threshold: expected a number/],
    [{ json: '' }, ['--json'], /--json needs a value/],
    [{ json: false }, ['--no-json'], /--json needs a value/],
  ])('%j is refused', (args, argv, message) => {
    expect(() => checkArguments(args, declared, argv)).toThrow(message);
  });

  test('what is well formed passes: lists where lists are declared, zero, options that were not given', () => {
    expect(() =>
      checkArguments({ _: ['detect'], images: ['a', 'b'], threshold: 0, json: '-', save: undefined }, declared, []),
    ).not.toThrow();
  });

  test('the nearest name, where one is near', () => {
    expect(nearestName('treshold', ['image-size', 'threshold'])).toBe('threshold');
    expect(nearestName('quux', ['image-size', 'threshold'])).toBeUndefined();
  });

  test('an unknown key of the options file is told from one on the line', () => {
    expect(unknownOption('Unknown argument: imagesize', declared, ['detect', '--config', 'c.yaml'])).toBe(
      'Unknown option: --imagesize in the --config file (did you mean --image-size?).',
    );
    expect(unknownOption('Something else', declared, [])).toBe('Something else');
  });
});

describe('a cache folder that cannot be had is named in a sentence', () => {
  const before = { ...process.env };
  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-cache-'));
    process.env['CRANE_CACHE'] = folder;
  });
  afterEach(() => {
    process.env = { ...before };
    jest.restoreAllMocks();
    fs.chmodSync(folder, 0o700);
    fs.rmSync(folder, { recursive: true, force: true });
  });
  /** The address is never asked: there is no place for what it would send. */
  const fetchWeights = (): Promise<Run> => runCrane('weights', 'fetch', 'crane-visa', '--offline');

  test('a file in its place', async () => {
    process.env['CRANE_CACHE'] = __filename;
    const { code, err } = await fetchWeights();
    expect(code).toBe(1);
    // Node 20 stumbles over it earlier than Node 22.
    expect(err).toMatch(
      /^(\S+crane-visa-epoch-5\.pth: there is a file where a folder is needed|nothing can be written to \S+weights) \(ENOTDIR\)\. (Check the path|Choose another folder: CRANE_CACHE)/,
    );
  });

  const sentence = (code: string): string =>
    `nothing can be written to ${path.join(folder, 'weights')} (${code}). Choose another folder: CRANE_CACHE names the one for weights, CRANE_DATA the one for sets.\n`;

  /** As the system refuses whatever would be made or written below the folder. */
  const refuseWrites = (code: string): void => {
    for (const name of ['mkdirSync', 'writeFileSync'] as const) {
      const original = fs[name] as (...given: unknown[]) => unknown;
      jest.spyOn(fs, name).mockImplementation(((place: string, ...more: unknown[]) => {
        const refused = String(place).startsWith(folder) && (name !== 'mkdirSync' || !fs.existsSync(place));
        if (refused) throw Object.assign(new Error(`${code}: it cannot be, ${name} '${place}'`), { code });
        return original(place, ...more);
      }) as never);
    }
  };

  test.each([
    ['EROFS', 'empty'],
    ['EROFS', 'with its folder of weights'],
    ['EACCES', 'empty'],
    ['EACCES', 'with its folder of weights'],
  ])('%s, %s', async (refusal, content) => {
    if (content !== 'empty') fs.mkdirSync(path.join(folder, 'weights'));
    refuseWrites(refusal);
    const { code, out, err } = await fetchWeights();
    expect([code, out, err]).toEqual([1, '', sentence(refusal)]);
  });

  // Rights do not bind the superuser.
  (process.getuid?.() === 0 ? test.skip : test)('without the right to write', async () => {
    fs.chmodSync(folder, 0o500);
    const { code, out, err } = await fetchWeights();
    expect([code, out, err]).toEqual([1, '', sentence('EACCES')]);
  });
});

(fs.existsSync('/dev/full') ? test.each : test.skip.each)([[['weights', 'list']], [['detect', '--help']]])(
  'standard output on a full device: crane %j says so and ends with 1',
  (argv) => {
    const full = fs.openSync('/dev/full', 'w');
    try {
      const { status, stderr } = spawnSync(process.execPath, [program, ...argv], {
        encoding: 'utf8',
        stdio: ['ignore', full, 'pipe'],
      });
      expect(stderr).toBe(
        'Standard output cannot be written (ENOSPC), so the results are incomplete. Check the free space at its destination.\n',
      );
      expect(status).toBe(1);
    } finally {
      fs.closeSync(full);
    }
  },
);
