import { seededUniform } from '../lib/weights/seeded';

/**
 * The batches of one epoch: every place from 0 to `count - 1` once, shuffled; the last batch takes the rest. Determined
 * by seed and epoch alone, so that the order is the same on every machine and in a resumed run.
 */
export function epochBatches(count: number, batchSize: number, seed: number, epoch: number): number[][] {
  const order = shuffled(
    Array.from({ length: count }, (_, place) => place),
    seededUniform(`${seed}/order/${epoch}`),
  );
  return Array.from({ length: Math.ceil(count / batchSize) }, (_, batch) =>
    order.slice(batch * batchSize, (batch + 1) * batchSize),
  );
}

/** A copy in random order. */
export function shuffled<T>(items: readonly T[], uniform: () => number): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const chosen = Math.floor(uniform() * (last + 1));
    [order[last], order[chosen]] = [order[chosen] as T, order[last] as T];
  }
  return order;
}
