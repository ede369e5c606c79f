import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ChildMessage, Job, JobFault, JobResult } from './job';
import { Judge, LONGEST_MILLISECONDS, MemoryWatch, MOST_GROWTH } from './oracle';
import { Random } from './random';
import type { Target } from './target';
import { targetsNamed } from './targets';
import { Workspace } from './workspace';

/** Kept in memory that is let go by and by, more than this is no garbage. */
const MOST_KEPT = 100 << 20;

interface Reading {
  readonly target: Target;
  readonly judge: Judge;
}

/**
 * The process in which mutants are read: it has a heap limit, may crash or hang, and leaves the number of the mutant that
 * it is about to read in a file, by which it can be told which one that was.
 */
export async function serve(scratch: string, names: readonly string[]): Promise<void> {
  // What readers make of a set goes here too, and nothing is asked of the network.
  process.env['CRANE_CACHE'] = path.join(scratch, 'cache');
  process.env['CRANE_OFFLINE'] = '1';
  const readings = new Map(
    targetsNamed(names).map((target): [string, Reading] => [
      target.name,
      { target, judge: new Judge(target, new Workspace(path.join(scratch, target.name))) },
    ]),
  );
  const heartbeat = fs.openSync(path.join(scratch, 'heartbeat'), 'w');
  for (const { target, judge } of readings.values()) {
    for (const seed of target.seeds) {
      const { code, faults } = await judge.read(seed);
      // Libraries open what they keep open when they are used first.
      if (code === undefined && faults.every(({ kind }) => kind === 'handle')) continue;
      answer({
        kind: 'refused-seed',
        message: `${target.name} does not read what nothing is wrong with: ${code ?? faults[0]?.message}`,
      });
      return;
    }
  }
  const memory = new MemoryWatch();
  process.on('message', (job: Job) => {
    const reading = readings.get(job.target);
    if (reading === undefined) throw new Error(`no target ${job.target}`);
    run(job, reading, memory, heartbeat).then(
      (result) => answer({ kind: 'done', ...result }),
      (error: unknown) => {
        throw error;
      },
    );
  });
  process.on('disconnect', () => process.exit());
  answer({ kind: 'ready' });
}

function answer(message: ChildMessage): void {
  process.send?.(message);
}

/** Mutants between two looks at the memory, which the system is slow to tell. */
const LOOK_EVERY = 32;

async function run(
  { seed, from, count, alone }: Job,
  { target, judge }: Reading,
  memory: MemoryWatch,
  heartbeat: number,
): Promise<JobResult> {
  const start = performance.now();
  judge.settle();
  const refused: Record<string, number> = {};
  const faults: JobFault[] = [];
  const beat = Buffer.alloc(8);
  let [accepted, ran, looked] = [0, 0, 0];
  let suspects: JobResult['suspects'];
  while (ran < count && suspects === undefined) {
    const index = from + ran;
    beat.writeDoubleLE(index);
    fs.writeSync(heartbeat, beat, 0, 8, 0);
    const processor = alone ? process.cpuUsage() : undefined;
    const { code, faults: found, milliseconds } = await judge.read(mutantOf(target, seed, index));
    ran++;
    if (code !== undefined) refused[code] = (refused[code] ?? 0) + 1;
    else if (found.length === 0) accepted++;
    faults.push(...found.map((fault) => ({ index, ...fault })));
    if (milliseconds > LONGEST_MILLISECONDS) {
      if (processor === undefined) suspects = { from: index, count: 1 };
      else if (isSlow(milliseconds, process.cpuUsage(processor)))
        faults.push({ index, kind: 'hang', message: `it takes ${(milliseconds / 1000).toFixed(1)} s` });
    }
    if (alone || ran % LOOK_EVERY === 0 || ran === count || suspects !== undefined) {
      if (memory.growth() > MOST_GROWTH) {
        suspects = { from: from + looked, count: ran - looked };
        const kept = memory.keptGrowth();
        if (kept > MOST_KEPT) faults.push({ index, kind: 'leak', message: `${megabytes(kept)} are kept` });
        else if (alone && ran === 1)
          faults.push({ index, kind: 'memory', message: `it takes ${megabytes(memory.growth())} above the start` });
      }
      looked = ran;
    }
  }
  return { ran, accepted, refused, faults, suspects, growth: memory.growth(), milliseconds: performance.now() - start };
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

/** By the processor's time, which other programs do not lengthen; what waits takes none, and is slow after a long while. */
function isSlow(milliseconds: number, { user, system }: NodeJS.CpuUsage): boolean {
  return (user + system) / 1000 > LONGEST_MILLISECONDS || milliseconds > 5 * LONGEST_MILLISECONDS;
}

/** The mutant of a number: it follows from target, seed and number alone. */
export function mutantOf(target: Target, seed: number, index: number): ReturnType<Target['mutate']> {
  return target.mutate(new Random(seed, target.name, index));
}
