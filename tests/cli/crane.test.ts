import { execFileSync, spawnSync } from 'node:child_process';
import * as path from 'node:path';
import { checkArguments, joinDashes, nearestName, unknownOption } from '../../cli/arguments';
import { UsageError } from '../../lib/errors';
import { runCrane } from './run-crane';

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

test('a cache folder that cannot be had is named in a sentence', async () => {
  const before = process.env['CRANE_CACHE'];
  process.env['CRANE_CACHE'] = __filename;
  try {
    const { code, err } = await runCrane('weights', 'fetch', 'crane-visa', '--offline');
    expect(code).toBe(1);
    // Node 20 stumbles over it earlier than Node 22.
    expect(err).toMatch(
      /^(\S+crane-visa-epoch-5\.pth: there is a file where a folder is needed|nothing can be written to \S+weights) \(ENOTDIR\)\. (Check the path|Choose another folder: CRANE_CACHE)/,
    );
  } finally {
    if (before === undefined) delete process.env['CRANE_CACHE'];
    else process.env['CRANE_CACHE'] = before;
    delete process.env['CRANE_OFFLINE'];
  }
});
