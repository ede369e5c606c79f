import { createProgressReporter, duration } from '../../terminal/progress-bar';
import { displayWidth } from '../../terminal/table';
import type { Progress } from '../../lib/progress';

interface Step {
  readonly at: number;
  readonly progress: Progress;
}

/** What a stream gets when the steps are reported at their times. */
function show(steps: readonly Step[], stream: { isTTY?: boolean; columns?: number } = {}, json = false): string[] {
  const written: string[] = [];
  let clock = 0;
  const report = createProgressReporter({ ...stream, write: (text) => written.push(text) }, { json, now: () => clock });
  for (const { at, progress } of steps) {
    clock = at;
    report(progress);
  }
  return written;
}

const advance = (at: number, done: number, values?: Record<string, number>): Step => ({
  at,
  progress: { kind: 'advance', task: 'train', done, total: 100, ...(values && { values }) },
});
const start: Step = { at: 0, progress: { kind: 'start', task: 'train', total: 100, unit: 'steps' } };
const done = (at: number): Step => ({ at, progress: { kind: 'done', task: 'train' } });
const steady = Array.from({ length: 100 }, (_, index) =>
  advance((index + 1) * 200, index + 1, { loss: 1 / (index + 1) }),
);

test('a pipe gets a line at the start, at about every tenth, and at the end', () => {
  const written = show([start, ...steady, done(20_000)]);
  expect(written[0]).toBe('train: 100 steps\n');
  expect(written[1]).toBe('train: 10 %, 10 of 100 steps  loss 0.1\n');
  expect(written).toHaveLength(12);
  expect(written.at(-1)).toBe('train: done in 20 s  loss 0.01\n');
  expect(written.filter((line) => line.includes('\r') || line.includes('\u001b'))).toEqual([]);
});

test('a short task in a pipe makes two lines; a slow one is heard of every few seconds', () => {
  expect(show([start, ...steady.map(({ progress }, index) => ({ at: index, progress })), done(100)])).toEqual([
    'train: 100 steps\n',
    'train: done in 0.1 s\n'.replace('\n', '  loss 0.01\n'),
  ]);
  expect(show([start, advance(1000, 1), advance(5000, 2), advance(5500, 3), advance(10_000, 4)])).toHaveLength(3);
});

test('a terminal gets a bar on one line that never exceeds its width', () => {
  for (const columns of [20, 40, 80, 200]) {
    const written = show([start, ...steady, done(20_000)], { isTTY: true, columns });
    for (const frame of written) {
      expect(frame.startsWith('\r\u001b[K')).toBe(true);
      if (frame !== written.at(-1)) expect(displayWidth(frame.slice(4))).toBeLessThan(columns);
    }
    expect(written.filter((frame) => frame.includes('\n'))).toEqual([written.at(-1)]);
  }
  const half = show([start, advance(10_000, 50, { loss: 0.123456 })], { isTTY: true, columns: 100 }).at(-1);
  expect(half).toBe(
    `\r\u001b[Ktrain [${'█'.repeat(15)}${'░'.repeat(15)}] 50 %, 50 of 100 steps, 10 s left  loss 0.1235`,
  );
});

test('a resumed download does not count what was there before as speed', () => {
  const bytes = (at: number, count: number): Step => ({
    at,
    progress: { kind: 'advance', task: 'download', done: count, total: 1000_000 },
  });
  const written = show(
    [
      { at: 0, progress: { kind: 'start', task: 'download', total: 1000_000, unit: 'bytes' } },
      bytes(0, 800_000),
      bytes(10_000, 900_000),
    ],
    { isTTY: true, columns: 120 },
  );
  expect(written.at(-1)).toContain('90 %, 900 kB of 1.0 MB, 10 s left');
});

test('nor does training that is resumed', () => {
  const resumed: Step = { at: 0, progress: { kind: 'start', task: 'train', total: 100, unit: 'steps', done: 80 } };
  expect(show([resumed, advance(0, 80), advance(10_000, 90)], { isTTY: true, columns: 100 }).at(-1)).toContain(
    '90 of 100 steps, 10 s left',
  );
});

test('json: one object per line, at the same pace', () => {
  const written = show([start, ...steady, done(20_000)], { isTTY: true }, true).map(
    (line) => JSON.parse(line) as Progress,
  );
  expect(written[0]).toEqual(start.progress);
  expect(written.at(-1)).toEqual({ kind: 'done', task: 'train' });
  expect(written).toHaveLength(12);
});

test('an unknown length shows what came', () => {
  const written = show([
    { at: 0, progress: { kind: 'start', task: 'get', total: 0, unit: 'bytes' } },
    { at: 6000, progress: { kind: 'advance', task: 'get', done: 1500, total: 0 } },
  ]);
  expect(written).toEqual(['get: unknown length\n', 'get: 1.5 kB\n']);
});

test('durations', () => {
  expect([0, 400, 12_000, 59_700, 185_000, 7_800_000].map(duration)).toEqual([
    '0.0 s',
    '0.4 s',
    '12 s',
    '1 min 00 s',
    '3 min 05 s',
    '2 h 10 min',
  ]);
});

test('a terminal that says it is no columns wide is taken to be of the usual width', () => {
  expect(show([start, advance(200, 50)], { isTTY: true, columns: 0 })[1]).toContain('50 of 100 steps');
});
