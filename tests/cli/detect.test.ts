import * as fs from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { prepareBackend } from '../../lib/backend';
import { readNpy } from '../../lib/image/npy';
import { describeWithGoldens, expectClose, golden, goldenPath, tinyBackbone } from '../goldens';
import { plainTiff } from '../image/float-tiff';
import { jsonLines, runCrane } from './run-crane';

let folder: string;
beforeAll(async () => {
  await prepareBackend('auto');
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-detect-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const weights = (): string[] => ['--backbone', tinyBackbone(), '--prompts', goldenPath('prompts_tiny.pth')];
const tiny = (): string[] => [...weights(), '--image-size', '70', '--layers', '2,4,6', '--eattn-blocks', '5'];
const inFolder = (...parts: string[]): string => path.join(folder, ...parts);

/** A picture of the goldens under another name. */
function picture(name: string, from = 'rgb.png'): string {
  const file = inFolder(name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.copyFileSync(goldenPath(`images/${from}`), file);
  return file;
}

describeWithGoldens('crane detect', () => {
  test('scores and maps of files are those of the reference', async () => {
    const meta = JSON.parse(fs.readFileSync(goldenPath('e2e/dataset/meta.json'), 'utf8')) as {
      test: Record<string, { img_path: string }[]>;
    };
    const files = Object.values(meta.test)
      .flat()
      .map(({ img_path }) => goldenPath(`e2e/dataset/${img_path}`));
    const out = inFolder('reference');
    const { code, out: lines } = await runCrane(
      'detect',
      ...files,
      ...tiny(),
      '--reference-images',
      '--out',
      out,
      '--save',
      'npy',
      '--json',
      '-',
    );
    const rows = jsonLines(lines);
    expect(code).toBe(0);
    expect(rows.map(({ path: source }) => source)).toEqual(files);
    expectClose(
      rows.map(({ score }) => score as number),
      golden('e2e.safetensors#crane.scores').data,
      1e-4,
    );
    const maps = await Promise.all(rows.map((row) => readNpy((row['files'] as string[])[0] as string)));
    expect(maps.map(({ shape }) => shape)).toEqual(files.map(() => [70, 70]));
    expectClose(
      maps.flatMap(({ data }) => Array.from(data as Float32Array)),
      golden('e2e.safetensors#crane.maps').data,
      1e-4,
    );
  });

  test('one JSON object per image, in the order given, on standard output alone; names with blanks, signs and twins', async () => {
    const files = [
      picture('with space.png'),
      picture('ünï 漢.png'),
      picture(`it's "quoted".png`),
      picture('a/x.png'),
      picture('b/x.png', 'gray.png'),
    ];
    const out = inFolder('names');
    const {
      code,
      out: lines,
      err,
    } = await runCrane('detect', ...files, ...tiny(), '--out', out, '--save', 'overlay,npy', '--json', '-');
    expect(code).toBe(0);
    const rows = jsonLines(lines);
    expect(rows.map((row) => row['path'])).toEqual(files);
    expect(Object.keys(rows[0] as object).sort()).toEqual(['files', 'height', 'path', 'score', 'seconds', 'width']);
    expect(rows[0]).toMatchObject({ width: 93, height: 71 });
    expect(fs.readdirSync(out).sort()).toEqual(
      rows
        .flatMap((row) => row['files'] as string[])
        .map((file) => path.basename(file))
        .sort(),
    );
    expect(fs.readdirSync(out)).toEqual(expect.arrayContaining(['a-x.npy', 'b-x.npy', 'ünï 漢.png']));
    expect(err).toMatch(/^detect: 5 images$/m);
    expect(err).not.toContain('\u001b');
  });

  test('the same image twice is scored twice', async () => {
    const file = picture('twice.png');
    const { code, out } = await runCrane('detect', file, file, ...tiny(), '--json', '-');
    expect(code).toBe(0);
    const rows = jsonLines(out);
    expect(rows.map((row) => row['path'])).toEqual([file, file]);
    expect(rows[1]?.['score']).toBeCloseTo(rows[0]?.['score'] as number, 5);
  });

  test('images that fail are named, the rest done, and nothing leaks', async () => {
    const good = picture('good.png');
    const write = (name: string, content: string | Buffer): string => (
      fs.writeFileSync(inFolder(name), content),
      inFolder(name)
    );
    const bad = [
      write('zero.png', ''),
      write('text.png', 'hello'),
      write('cut.png', fs.readFileSync(good).subarray(0, 900)),
      inFolder('nowhere.png'),
    ];
    fs.mkdirSync(inFolder('empty.png'));
    const before = tf.memory().numTensors;
    const { code, out, err } = await runCrane(
      'detect',
      bad[0] as string,
      good,
      ...bad.slice(1),
      inFolder('empty.png'),
      good,
      ...tiny(),
      '--json',
      '-',
    );
    expect(tf.memory().numTensors).toBe(before);
    expect(code).toBe(1);
    const rows = jsonLines(out);
    expect(rows.map(({ score }) => score !== null)).toEqual([false, true, false, false, false, false, true]);
    const failed = rows.filter(({ score }) => score === null);
    for (const { path: source, error } of failed) {
      expect(error).toContain(source as string);
      expect(err).toContain(error as string);
    }
    expect(failed.map(({ error }) => (error as string).slice((error as string).indexOf(': ') + 2))).toEqual([
      expect.stringMatching(/^empty/),
      expect.stringMatching(/text "hello"/),
      expect.stringMatching(/^damaged or truncated/),
      expect.stringMatching(/^no such file/),
      expect.stringMatching(/^no images in this folder/),
    ]);
    expect(err).toContain('5 of 7 images failed');
  });

  test('a folder stands for every picture below it, hidden ones left out', async () => {
    for (const name of ['set/b.png', 'set/a/z_mask.png', 'set/.hidden.png', 'set/.git/x.png'])
      picture(name, 'small.png');
    fs.writeFileSync(inFolder('set/notes.txt'), 'x');
    const { out } = await runCrane('detect', inFolder('set'), ...tiny(), '--json', '-');
    expect(jsonLines(out).map((row) => path.relative(folder, row['path'] as string))).toEqual([
      'set/b.png',
      'set/a/z_mask.png',
    ]);
  });

  test('a pattern that the shell did not expand, unless a file has that name; one that matches nothing is said', async () => {
    for (const name of ['parts/b.png', 'parts/a.png', 'parts/[1].png', 'parts/x/c.png']) picture(name, 'small.png');
    const { code, out, err } = await runCrane(
      'detect',
      inFolder('parts/*.png'),
      inFolder('parts/[1].png'),
      inFolder('parts/{x,y}'),
      inFolder('parts/*.jpg'),
      ...tiny(),
      '--json',
      '-',
    );
    expect(code).toBe(1);
    expect(jsonLines(out).map((row) => path.relative(inFolder('parts'), row['path'] as string))).toEqual([
      '[1].png',
      'a.png',
      'b.png',
      '[1].png',
      'x/c.png',
      '*.jpg',
    ]);
    expect(err).toContain('or matches it as a pattern');
  });

  test('what a large image size costs is said before the run, in relation to the usual size', async () => {
    const { err } = await runCrane(
      'detect',
      picture('large.png', 'small.png'),
      '--backbone',
      'nano',
      '--prompts',
      'nano-prompts',
      '--image-size',
      '224',
      '--json',
      '-',
    );
    expect(err).toMatch(
      /^Image size 224: about .* s and [\d.]+ MB of memory per image, [\d.]+ times the time and [\d.]+ times the memory of the usual 112\./,
    );
  });

  test('addresses: a picture that comes, and answers that are none', async () => {
    const png = fs.readFileSync(goldenPath('images/rgb.png'));
    const server = http.createServer((request, response) => {
      if (request.url?.startsWith('/ok.png')) response.end(png);
      else if (request.url === '/page.png') response.end('<html></html>');
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const urls = ['ok.png?size=1/2', 'page.png', 'gone.png'].map((name) => `http://127.0.0.1:${port}/${name}`);
    try {
      const refused = await runCrane('detect', urls[0] as string, ...tiny());
      expect(refused.err).toContain('contacted only with --allow-private-urls');
      const { code, out } = await runCrane(
        'detect',
        ...urls,
        'ftp://host/x.png',
        ...tiny(),
        '--allow-private-urls',
        '--out',
        inFolder('urls'),
        '--save',
        'heatmap',
        '--json',
        '-',
      );
      const rows = jsonLines(out);
      expect(code).toBe(1);
      expect(rows[0]).toMatchObject({ path: urls[0], width: 93, files: [inFolder('urls', 'ok-heatmap.png')] });
      expect(rows.slice(1).map(({ error }) => error)).toEqual([
        expect.stringMatching(/not an image/),
        expect.stringMatching(/404/),
        expect.stringMatching(/"ftp:"/),
      ]);
    } finally {
      delete process.env['CRANE_ALLOW_PRIVATE_URLS'];
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('a table where no JSON is asked for, and both where it goes to a file in a folder that is not there yet', async () => {
    const file = picture('table.png');
    const json = inFolder('deep/er/scores.jsonl');
    const { code, out } = await runCrane('detect', file, ...tiny(), '--json', json);
    expect(code).toBe(0);
    const [row] = jsonLines(fs.readFileSync(json, 'utf8'));
    expect(out).toMatch(/^image +score +size +ms\n/);
    expect(out).toContain(`${(row?.['score'] as number).toFixed(4)}  93x71`);
  });

  test('one output that cannot be written is one failed row, the rest is done; names are as long as a disk takes', async () => {
    const long = `${'n'.repeat(250)}.png`;
    for (const name of ['outputs/a.png', 'outputs/b.png', 'outputs/a.jpg', `outputs/${long}`])
      picture(name, 'small.png');
    fs.mkdirSync(inFolder('maps/b.png/in the way'), { recursive: true });
    const { code, out, err } = await runCrane(
      'detect',
      inFolder('outputs'),
      ...tiny(),
      '--out',
      inFolder('maps'),
      '--save',
      'overlay,heatmap',
      '--json',
      '-',
    );
    expect(code).toBe(1);
    const rows = jsonLines(out).map(({ files, error }) => ({
      files: (files as string[]).map((file) => path.basename(file)),
      error,
    }));
    expect(rows).toEqual([
      { files: ['a.png', 'a-heatmap.png'] },
      { files: ['a-2.png', 'a-2-heatmap.png'] },
      { files: [], error: expect.stringMatching(/b\.png: cannot be written \(E\w+\)/) },
      {
        files: [
          expect.stringMatching(/^n{234}-[0-9a-f]{8}\.png$/),
          expect.stringMatching(/^n{234}-[0-9a-f]{8}-heatmap\.png$/),
        ],
      },
    ]);
    expect(err).toContain('1 of 4 images failed');
  });

  test('a full disk ends the run with one line', async () => {
    if (!fs.existsSync('/dev/full')) return;
    const { code, err } = await runCrane('detect', picture('full.png'), ...tiny(), '--json', '/dev/full');
    expect(err).toMatch(/--json \/dev\/full: cannot be written \(ENOSPC\)/);
    expect(code).toBe(1);
  });

  test('Ctrl-C keeps what is done, says how much that is, and gives 130', async () => {
    const file = picture('stop.png', 'small.png');
    const running = runCrane(
      'detect',
      ...Array.from({ length: 400 }, () => file),
      ...tiny(),
      '--batch-size',
      '1',
      '--json',
      inFolder('stopped.jsonl'),
    );
    const listening = setInterval(() => {
      if (fs.existsSync(inFolder('stopped.jsonl')) && fs.statSync(inFolder('stopped.jsonl')).size > 0)
        process.emit('SIGINT');
    }, 5);
    const { code, err } = await running;
    clearInterval(listening);
    const rows = jsonLines(fs.readFileSync(inFolder('stopped.jsonl'), 'utf8'));
    expect(code).toBe(130);
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.length).toBeLessThan(400);
    expect(err).toContain(`Stopped after ${rows.length} of 400 images.`);
    expect(err).not.toMatch(/^\s+at /m);
    expect(process.listenerCount('SIGINT')).toBe(0);
  });

  test.each([
    [['--threshold', '7'], /--threshold 7: .*0 to 1/],
    [['--threshold', 'abc'], /--threshold abc: expected a number/],
    [['--threshold'], /--threshold: expected a number/],
    [['--layers', '0'], /--layers 0: expected whole numbers from 1 .* blocks that give anomaly maps/],
    [['--layers', 'a,b'], /--layers a,b: expected whole numbers/],
    [['--layers', '2,,4'], /expected whole numbers/],
    [['--layers', '9'], /blocks 1 to 6/],
    [['--image-size', '71'], /patch size 14.*70, 84/],
    [['--image-size', '-14'], /--image-size -14: expected a whole number/],
    [['--image-size', '1000006'], /pixels from 1 to 8192/],
    [['--image-size', '70', '--image-size', '84'], /given 2 times/],
    [['--batch-size', '0'], /--batch-size 0: expected/],
    [['--batch-size', '1.5'], /--batch-size 1.5: expected/],
    [['--sigma', '-1'], /--sigma -1: expected 0/],
    [['--eattn-blocks', '99'], /99 E-Attn blocks/],
    [['--seed', '1.5'], /--seed 1.5/],
    [['--save', 'npy'], /add --out/],
    [['--save', 'foo', '--out', 'x'], /"foo" is not known/],
    [['--save', 'mask', '--out', 'x'], /needs --threshold/],
    [['--save'], /--save needs a value/],
    [['--json'], /--json needs a value/],
  ] as [string[], RegExp][])('%j is wrong use', async (options, message) => {
    const { code, out, err } = await runCrane('detect', goldenPath('images/rgb.png'), ...weights(), ...options);
    expect(err).toMatch(message);
    expect([code, out]).toEqual([2, '']);
  });

  test('places that cannot be written are refused before the model is loaded', async () => {
    const image = picture('place.png');
    for (const [options, message] of [
      [['--out', image], /--out .*: there is a file of that name/],
      [['--out', path.join(image, 'x')], /--out .*: there is a file of that name/],
      [['--json', path.join(image, 'x.jsonl')], /--json .*: there is a file of that name/],
      [['--json', folder], /is a folder/],
      [['--out', path.dirname(image)], /would replace an image/],
    ] as [string[], RegExp][]) {
      const { code, err } = await runCrane('detect', image, '--backbone', 'never-opened.pt', ...options);
      expect(err).toMatch(message);
      expect(code).toBe(2);
    }
    expect(fs.readFileSync(image)).toEqual(fs.readFileSync(goldenPath('images/rgb.png')));
  });

  test('images of several pages or frames are counted in one line', async () => {
    const frames = inFolder('pages', 'frames.webp');
    fs.mkdirSync(path.dirname(frames), { recursive: true });
    const stacked = Buffer.concat([Buffer.alloc(8 * 8 * 3, 90), Buffer.alloc(8 * 8 * 3, 180)]);
    await sharp(stacked, { raw: { width: 8, height: 16, channels: 3, pageHeight: 8 } })
      .webp({ lossless: true })
      .toFile(frames);
    const pages = inFolder('pages', 'pages.tif');
    fs.writeFileSync(pages, plainTiff(8, 8, new Uint8Array(64).fill(99), 1, 3));
    const { code, err } = await runCrane(
      'detect',
      frames,
      pages,
      goldenPath('images/rgb.png'),
      ...tiny(),
      '--json',
      '-',
    );
    expect(code).toBe(0);
    expect(err.match(/.*pages or frames.*/g)).toEqual([
      '2 images have several pages or frames; the first of each is scored',
    ]);
    const one = await runCrane('detect', pages, ...tiny(), '--json', '-');
    expect(one.err).toContain('\n1 image has several pages or frames; the first is scored\n');
  });

  test('weights that do not fit, by name', async () => {
    const image = goldenPath('images/rgb.png');
    fs.writeFileSync(inFolder('text.pt'), 'just text');
    for (const [backbone, prompts, message] of [
      [inFolder('text.pt'), goldenPath('prompts_tiny.pth'), /text\.pt is not a known weights file/],
      [goldenPath('prompts_tiny.pth'), goldenPath('prompts_tiny.pth'), /holds trained prompts; give it as prompts/],
      [folder, goldenPath('prompts_tiny.pth'), /holds no weights; looked for model\.safetensors/],
      [tinyBackbone(), tinyBackbone(), /holds no trained prompts/],
      ['nowhere.pt', goldenPath('prompts_tiny.pth'), /no backbone file or folder/],
    ] as [string, string, RegExp][]) {
      const before = tf.memory().numTensors;
      const { code, out, err } = await runCrane('detect', image, '--backbone', backbone, '--prompts', prompts);
      expect(err).toMatch(message);
      expect(code).toBeGreaterThan(0);
      expect(out).toBe('');
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  test('options from a file: with dashes or without, lists, overruled by the line', async () => {
    const image = goldenPath('images/rgb.png');
    const config = inFolder('options.yaml');
    fs.writeFileSync(config, 'imageSize: 70\nlayers: [2, 4, 6]\neattn-blocks: 5\npooling: false\n');
    const run = async (...argv: string[]): Promise<number> => {
      const { code, out, err } = await runCrane('detect', image, '--json', '-', ...weights(), ...argv);
      expect([code, err]).toEqual([0, expect.stringContaining('1 image')]);
      return jsonLines(out)[0]?.['score'] as number;
    };
    const written = await run(...tiny().slice(4), '--no-pooling');
    const overruled = await run('--config', config, '--pooling');
    expect(await run('--config', config)).toBeCloseTo(written, 5);
    expect(overruled).toBeCloseTo(await run(...tiny().slice(4)), 5);
    expect(Math.abs(overruled - written)).toBeGreaterThan(1e-3);
  });

  test.each([
    ['imagesize: 70\n', /--imagesize in the --config file \(did you mean --image-size\?\)/],
    ['a: [1\nb', /--config .*at line 2/],
    ['- a\n- b\n', /expected options as "name: value" lines/],
    ['image-size: abc\n', /--image-size: expected a number/],
    ['', /expected options/],
  ])('an options file with %j is wrong use', async (content, message) => {
    const config = inFolder('wrong.yaml');
    fs.writeFileSync(config, content);
    const { code, err } = await runCrane('detect', goldenPath('images/rgb.png'), ...weights(), '--config', config);
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });

  test('an options file that is not there is wrong use', async () => {
    const { code, err } = await runCrane('detect', 'x.png', '--config', inFolder('nowhere.yaml'));
    expect(err).toMatch(/nowhere\.yaml: no such file/);
    expect(code).toBe(2);
  });
});
