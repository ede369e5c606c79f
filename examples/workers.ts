/**
 * Shares images among processes, each with a model of its own: workers.ts PROCESSES IMAGE…
 * Native TensorFlow serves one thread of a process only, so worker threads are no way to go.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Crane } from 'crane-tfjs';

interface Answer {
  readonly image: string;
  readonly score: number;
}

/** One process: scores the images that it is sent, until it is told that there are no more. */
async function work(): Promise<void> {
  await using crane = await Crane.load({ offline: true });
  process.send?.({ ready: true });
  for (;;) {
    const [image] = (await once(process, 'message')) as [string];
    if (image === '') break;
    const { score } = await crane.detect(image);
    process.send?.({ image, score } satisfies Answer);
  }
  process.disconnect();
}

async function share(processes: number, images: readonly string[]): Promise<void> {
  const queue = images.values();
  await Promise.all(
    Array.from({ length: processes }, async (_, number) => {
      const child = fork(__filename, ['--work']);
      child.on('message', (answer: Answer | { readonly ready: true }) => {
        if ('image' in answer) console.log(`process ${number + 1}: ${answer.image} ${answer.score.toFixed(3)}`);
        const { value, done } = queue.next();
        child.send(done ? '' : value);
      });
      const [code] = (await once(child, 'exit')) as [number];
      if (code !== 0) throw new Error(`process ${number + 1} ended with ${code}`);
    }),
  );
  console.log(`${images.length} images scored by ${processes} processes`);
}

const [first = '1', ...images] = process.argv.slice(2);
(first === '--work' ? work() : share(Number(first), images)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
