import { SideTasks } from '../../cli/side-tasks';

/** Tasks that end when they are told to, and what happened in which order. */
function tasks(): {
  log: string[];
  task: (name: string) => () => Promise<void>;
  end: (name: string, error?: Error) => Promise<void>;
} {
  const log: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  return {
    log,
    task: (name) => () => {
      log.push(`${name} starts`);
      return new Promise<void>((resolve, reject) => {
        ends.set(name, (error) => {
          log.push(`${name} ends`);
          if (error) reject(error);
          else resolve();
        });
      });
    },
    end: async (name, error) => {
      ends.get(name)?.(error);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('no more than some run at once', async () => {
  const { log, task, end } = tasks();
  const side = new SideTasks(2);
  await side.start('a', task('a'));
  await side.start('b', task('b'));
  const third = side.start('c', task('c'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(log).toEqual(['a starts', 'b starts']);
  await end('b');
  await third;
  expect(log).toEqual(['a starts', 'b starts', 'b ends', 'c starts']);
  const finished = side.finish().then(() => log.push('finished'));
  await end('a');
  await end('c');
  await finished;
  expect(log.slice(-3)).toEqual(['a ends', 'c ends', 'finished']);
});

test('tasks of one key follow each other, while others go on', async () => {
  const { log, task, end } = tasks();
  const side = new SideTasks(8);
  await side.start('file', task('first'));
  await side.start('other', task('other'));
  const second = side.start('file', task('second'));
  await end('other');
  expect(log).not.toContain('second starts');
  await end('first');
  await second;
  expect(log.slice(-2)).toEqual(['first ends', 'second starts']);
});

test('a task that fails is told at the next start, and at the end; the others are waited for', async () => {
  const { log, task, end } = tasks();
  const side = new SideTasks(2);
  await side.start('a', task('a'));
  await side.start('b', task('b'));
  await end('a', new Error('disk full'));
  await expect(side.start('c', task('c'))).rejects.toThrow('disk full');
  expect(log).not.toContain('c starts');
  const finished = expect(side.finish()).rejects.toThrow('disk full');
  await end('b');
  await finished;
});

test('no more than some bytes are held at once, and one task that holds more is waited for, alone', async () => {
  const { log, task, end } = tasks();
  const side = new SideTasks(8, 100);
  await side.start('a', task('a'), 60);
  const second = side.start('b', task('b'), 60);
  await end('a');
  await second;
  let through = false;
  const large = side.start('large', task('large'), 500).then(() => (through = true));
  await end('b');
  expect(log).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'large starts']);
  expect(through).toBe(false);
  await end('large');
  await large;
  await side.start('c', task('c'), 1);
  await end('c');
  await side.finish();
});
