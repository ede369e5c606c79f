import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import sharp from 'sharp';

const root = path.resolve(__dirname, '../..');
let folder: string;
const inFolder = (...names: string[]): string => path.join(folder, ...names);

/** A grey image with a dark square, or the white square alone that marks it. */
async function draw(file: string, size: number, square?: number, [back, fore] = ['#909090', '#202020']): Promise<void> {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const input = { create: { width: 20, height: 20, channels: 3, background: fore as string } } as const;
  const marks = square === undefined ? [] : [{ input, left: square, top: square }];
  await sharp({ create: { width: size, height: size, channels: 3, background: back as string } })
    .composite(marks)
    .png()
    .toFile(file);
}

function start(example: string, args: readonly string[]): ChildProcess {
  const register = path.join(root, 'examples', 'register.js');
  return spawn(process.execPath, ['-r', register, path.join(root, 'examples', `${example}.ts`), ...args], {
    cwd: folder,
    env: { ...process.env, CRANE_OFFLINE: '1', CRANE_CACHE: inFolder('cache') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly errors: string;
}

async function ended(child: ChildProcess): Promise<Outcome> {
  let [out, errors] = ['', ''];
  child.stdout?.on('data', (chunk) => (out += chunk));
  child.stderr?.on('data', (chunk) => (errors += chunk));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, out, errors };
}

const run = (example: string, ...args: string[]): Promise<Outcome> => ended(start(example, args));

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-examples-'));
  await draw(inFolder('images', 'good.png'), 64);
  await draw(inFolder('images', 'bad.png'), 64, 24);
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

test('every example is tested, and has fewer than 60 lines', () => {
  const examples = fs.readdirSync(path.join(root, 'examples')).filter((name) => name.endsWith('.ts'));
  const tests = fs.readFileSync(__filename, 'utf8');
  expect(examples.length).toBeGreaterThanOrEqual(6);
  expect(examples.filter((name) => !tests.includes(`'${path.parse(name).name}'`))).toEqual([]);
  const long = examples.filter(
    (name) => fs.readFileSync(path.join(root, 'examples', name), 'utf8').split('\n').length > 60,
  );
  expect(long).toEqual([]);
});

test('one image', async () => {
  const { code, out } = await run('one-image', inFolder('images', 'bad.png'), 'heat.png');
  expect([code, out]).toEqual([
    0,
    expect.stringMatching(/bad\.png: score [01]\.\d{3}, 64 x 64 pixels, heatmap in heat\.png/),
  ]);
  expect((await sharp(inFolder('heat.png')).metadata()).width).toBeGreaterThanOrEqual(64);
  expect(await run('one-image')).toMatchObject({ code: 1, errors: 'Give an image: a path or a URL.\n' });
});

test('a folder to CSV, with one image that is none', async () => {
  fs.cpSync(inFolder('images'), inFolder('mixed'), { recursive: true });
  fs.writeFileSync(inFolder('mixed', 'broken.png'), 'no image');
  const { code, out, errors } = await run('folder-to-csv', 'mixed', 'scores.csv');
  expect([code, out]).toEqual([0, '2 images scored, 1 failed, written to scores.csv\n']);
  expect(errors).toContain('broken.png');
  const [head, ...rows] = fs.readFileSync(inFolder('scores.csv'), 'utf8').trim().split('\n');
  expect(head).toBe('path,score,largest');
  expect(rows).toHaveLength(2);
  for (const row of rows) expect(row).toMatch(/^"mixed\/(bad|good)\.png",[01](\.\d+)?(e-\d+)?,[01](\.\d+)?(e-\d+)?$/);
});

test('a feed that a signal ends', async () => {
  const child = start('feed', ['images']);
  const outcome = ended(child);
  let lines = 0;
  child.stdout?.on('data', (chunk) => {
    lines += String(chunk).split('\n').length - 1;
    if (lines === 2) child.kill('SIGINT');
  });
  const { code, out } = await outcome;
  expect(code).toBe(0);
  expect(out).toMatch(/good\.png: (passes|look at it) \([01]\.\d{3}\)/);
  expect(out).toMatch(/stopped after 2 images: Ctrl-C\n$/);
});

test('an HTTP server', async () => {
  const child = start('http-server', ['0']);
  const outcome = ended(child);
  const port = await new Promise<string>((resolve) =>
    child.stdout?.on('data', (chunk) => resolve(/port (\d+)/.exec(String(chunk))?.[1] ?? '')),
  );
  const send = (body: Buffer): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: new Uint8Array(body) });
  const answer = await send(fs.readFileSync(inFolder('images', 'bad.png')));
  expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ width: 64, height: 64 })]);
  const refused = await send(Buffer.from('no image'));
  expect([refused.status, await refused.json()]).toEqual([422, { error: expect.stringContaining('not a') }]);
  child.kill('SIGTERM');
  expect((await outcome).code).toBe(0);
});

test('training on a folder', async () => {
  for (const index of [0, 1, 2, 3]) {
    await draw(inFolder('set', 'images', `${index}.png`), 64, index < 2 ? 20 + index : undefined);
    await draw(inFolder('set', 'masks', `${index}.png`), 64, index < 2 ? 20 + index : undefined, [
      '#000000',
      '#ffffff',
    ]);
  }
  const { code, out, errors } = await run('train', 'set', inFolder('images', 'bad.png'), 'run');
  expect([code, errors]).toEqual([0, '']);
  expect(out).toMatch(
    /step 1 of 2: loss \d+\.\d{3}\nstep 2 of 2: loss \d+\.\d{3}\nbest epoch [12], prompts in .*run.*\n.*score [01]\.\d{3}\n$/,
  );
});

test('a model with layers of Crane and one of its own', async () => {
  const { code, out, errors } = await run('custom-layer');
  expect([code, errors]).toEqual([0, '']);
  const [, first, last] = /^loss ([\d.]+) to ([\d.]+)\n$/.exec(out) as unknown as [string, string, string];
  expect(Number(last)).toBeLessThan(Number(first));
});

test('processes that share images', async () => {
  const { code, out } = await run(
    'workers',
    '2',
    ...['bad', 'good', 'bad'].map((name) => inFolder('images', `${name}.png`)),
  );
  expect(code).toBe(0);
  expect(out.match(/^process [12]: .*(bad|good)\.png [01]\.\d{3}$/gm)).toHaveLength(3);
  expect(out).toMatch(/3 images scored by 2 processes\n$/);
});
