import * as fs from 'node:fs';
import * as path from 'node:path';
import { WeightsError } from '../../../lib/errors';
import { madeBytes } from '../mutate/values';
import { Breach, type Target } from '../target';

const kept: Uint8Array[] = [];

/** What a mutant begins with at which a planted reader goes wrong. */
export const PLANTED = 7;

/** Readers with one fault each, by which the harness itself is tested. */
function planted(name: string, fault: (file: string) => void | Promise<void>): Target {
  return {
    name: `planted-${name}`,
    group: 'weights',
    seeds: [{ x: Buffer.from([0, 1]) }],
    mutate: (random) => ({ x: madeBytes(20, (at) => random.below(at === 0 ? 12 : 256)) }),
    async read(folder) {
      const file = path.join(folder, 'x');
      const [first] = fs.readFileSync(file);
      if (first === PLANTED) await fault(file);
      if (first === 3) throw new WeightsError('weights/format', 'three is refused');
    },
  };
}

const filled = (megabytes: number): Uint8Array => new Uint8Array(megabytes << 20).fill(1);

export const plantedTargets: readonly Target[] = [
  planted('type-error', () => {
    kept.push(Reflect.get(Object.create(null), 'missing').slice());
  }),
  planted('system-error', (file) => {
    fs.readFileSync(`${file}-missing`);
  }),
  planted('hang', () => {
    for (;;);
  }),
  planted('wait', () => new Promise(() => undefined)),
  planted('slow', () => {
    const start = process.cpuUsage();
    const used = (): number => process.cpuUsage(start).user + process.cpuUsage(start).system;
    for (let at = 0; at % 1e6 !== 0 || used() < 2_500_000; at++);
  }),
  planted('peak', () => {
    if (filled(300)[5] !== 1) throw new Error('cannot be');
  }),
  planted('leak', () => {
    kept.push(filled(120));
  }),
  planted('heap', () => {
    const all: number[][] = [];
    for (;;) all.push(new Array<number>(1 << 20).fill(all.length));
  }),
  planted('crash', () => process.abort()),
  planted('handle', (file) => {
    fs.openSync(file, 'r');
  }),
  planted('prototype', () => {
    Object.assign(Object.getPrototypeOf({}) as object, { polluted: true });
  }),
  planted('breach', () => {
    throw new Breach('written outside of the folder: /somewhere');
  }),
];
