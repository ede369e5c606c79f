import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { seededUniform } from '../../lib/weights/seeded';
import type { TrainOptions } from '../../train/run-options';
import { readStepLog } from '../../train/step-log';
import { writeSmallBackbone, writeSmallSet } from './tiny-files';

/** More for a long look: `CRANE_KILLS=20 npx jest tests/train/killed-run.test.ts`. */
const KILLS = Number(process.env['CRANE_KILLS'] ?? 3);
const STEPS_A_RUN = 30;

let folder: string;

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-killed-'));
});

afterAll(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  /** Milliseconds until its steps began, and from there to the end. */
  readonly start: number;
  readonly stepping: number;
  readonly steps: number;
  readonly errors: string;
}

/** Runs a training in a process of its own. @param killAfter milliseconds, from the start or from its first step on; undefined lets it live */
function trainInProcess(
  options: TrainOptions,
  cache: string,
  kill?: { readonly milliseconds: number; readonly from: 'start' | 'steps' },
): Promise<Ended> {
  return new Promise((resolve) => {
    const began = performance.now();
    const child = spawn(
      process.execPath,
      ['-r', 'ts-node/register/transpile-only', path.join(__dirname, 'train-process.ts'), JSON.stringify(options)],
      {
        cwd: path.resolve(__dirname, '../..'),
        env: { ...process.env, CRANE_CACHE: cache },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let [steps, errors, begun] = [0, '', 0];
    const killLater = (): void => {
      if (kill) setTimeout(() => child.kill('SIGKILL'), kill.milliseconds).unref();
    };
    if (kill?.from === 'start') killLater();
    child.stdout.on('data', (chunk: Buffer) => {
      const text = chunk.toString();
      if (text.includes('begun')) {
        begun = performance.now();
        if (kill?.from === 'steps') killLater();
      }
      steps += text.split('step ').length - 1;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on('exit', (code) =>
      resolve({ code, start: begun - began, stepping: performance.now() - begun, steps, errors }),
    );
  });
}

/** All files below a folder with a hash of their bytes, less what tells the time. */
function contents(root: string): Record<string, string> {
  const files = fs.readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      const name = path.relative(root, file).replace(/tfevents\..*/, 'tfevents');
      return [
        name,
        name.endsWith('.safetensors') ? createHash('sha256').update(fs.readFileSync(file)).digest('hex') : '',
      ];
    }),
  );
}

test(`a run that is killed at ${KILLS} random moments ends as one that was not`, async () => {
  const options: TrainOptions = {
    auxiliary: await writeSmallSet(path.join(folder, 'plates')),
    backbone: writeSmallBackbone(folder),
    training: { batchSize: 4, epochs: 10, validate: 0.2, contextProbability: 0.5 },
    saveEvery: 1,
  };
  const whole = path.join(folder, 'whole');
  const unbroken = await trainInProcess({ ...options, out: whole }, path.join(folder, 'cache-whole'));
  expect(unbroken).toMatchObject({ code: 0, steps: STEPS_A_RUN, errors: '' });

  const uniform = seededUniform(process.env['CRANE_KILL_SEED'] ?? 'kills');
  let runs = 1;
  const broken = (): string => path.join(folder, `broken-${runs}`);
  const goOn = (kill?: Parameters<typeof trainInProcess>[2]): Promise<Ended> =>
    trainInProcess({ ...options, resume: broken() }, path.join(folder, `cache-${runs}`), kill);
  for (let kills = 0; kills < KILLS;) {
    // Every fourth while it reads and encodes, the others in their steps, where each gets a little further.
    const kill =
      kills % 4 === 0
        ? { milliseconds: uniform() * unbroken.start, from: 'start' as const }
        : { milliseconds: (uniform() * 0.8 * unbroken.stepping) / KILLS, from: 'steps' as const };
    const { code, errors } = await goOn(kill);
    expect([errors, code === 0 || code === null]).toEqual(['', true]);
    if (code === null) kills++;
    // It was quicker than the kill: the next kills go to a new one.
    else runs++;
  }
  expect(await goOn()).toMatchObject({ code: 0, errors: '' });

  const losses = (root: string): unknown[] =>
    readStepLog(path.join(root, 'losses.jsonl')).map(({ seconds, ...line }) => line);
  const recorded = (root: string): unknown => {
    const { status, epochs, best } = JSON.parse(fs.readFileSync(path.join(root, 'run.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    return { status, epochs, best };
  };
  for (; runs > 0; runs--) {
    expect(contents(broken())).toEqual(contents(whole));
    expect(losses(broken())).toEqual(losses(whole));
    expect(losses(broken())).toHaveLength(STEPS_A_RUN);
    expect(recorded(broken())).toEqual(recorded(whole));
  }
}, 1_800_000);
