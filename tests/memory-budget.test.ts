import fc from 'fast-check';
import { MemoryBudget } from '../lib/memory-budget';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what fits runs together, what does not waits in order, what is larger than all runs alone', async () => {
  const budget = new MemoryBudget(100);
  const log: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (name: string, bytes: number): Promise<void> =>
    budget.run(async (claim) => {
      await claim.grow(bytes);
      log.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
    });
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await turn();
  };
  const tasks = [start('a', 60), start('b', 40), start('large', 500), start('c', 1)];
  await turn();
  expect(log).toEqual(['a', 'b']);
  await end('a');
  // The one behind does not overtake, or the large one would never run.
  expect(log).toEqual(['a', 'b']);
  await end('b');
  expect(log).toEqual(['a', 'b', 'large']);
  await end('large');
  expect(log).toEqual(['a', 'b', 'large', 'c']);
  await end('c');
  await Promise.all(tasks);
});

test('tasks that ask twice never wait for each other, and what failed gives back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(80), fc.nat(300), fc.boolean()), { minLength: 1, maxLength: 12 }),
      async (sizes) => {
        const budget = new MemoryBudget(100);
        let held = 0;
        let most = 0;
        const done = await Promise.allSettled(
          sizes.map(([first, second, fails]) =>
            budget.run(async (claim) => {
              for (const bytes of [first, second]) {
                await claim.grow(bytes);
                held += bytes;
                most = Math.max(most, held);
                await turn();
              }
              held -= first + second;
              if (fails) throw new Error('failed');
            }),
          ),
        );
        expect(done.map(({ status }) => status)).toEqual(
          sizes.map(([, , fails]) => (fails ? 'rejected' : 'fulfilled')),
        );
        const largest = Math.max(...sizes.map(([first, second]) => first + second));
        expect(most).toBeLessThanOrEqual(100 + largest);
      },
    ),
    { numRuns: 100 },
  );
});

test('a claim is given back once', async () => {
  const budget = new MemoryBudget(10);
  const first = budget.claim();
  await first.grow(10);
  first.release();
  first.release();
  const second = budget.claim();
  await second.grow(10);
  let granted = false;
  const third = budget.claim();
  void third.grow(1).then(() => (granted = true));
  await turn();
  expect(granted).toBe(false);
  second.release();
  await turn();
  expect(granted).toBe(true);
});
