import * as fs from 'node:fs';
import * as path from 'node:path';
import { z } from 'zod';
import { Judge, type FaultKind } from './oracle';
import type { Files, Target } from './target';
import { makeScratch, Workspace } from './workspace';

/** A mutant at which a reader broke its promise. */
export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly index: number;
  readonly kind: FaultKind;
  readonly message: string;
}

export const repeatCommand = ({ target, seed, index }: Finding): string =>
  `npm run fuzz -- --target ${target} --seed ${seed} --mutant ${index}`;

/** The same fault at another mutant has another number in its message at most. */
export const faultKey = ({ target, kind, message }: Pick<Finding, 'target' | 'kind' | 'message'>): string =>
  `${target} ${kind} ${message.replaceAll(/\d+/g, '#')}`;

const findingFile = z.object({
  target: z.string(),
  kind: z.string(),
  message: z.string(),
  repeat: z.string(),
  /** Which of the target's seeds has the files that are not changed. */
  beside: z.int().min(0),
  files: z.record(z.string(), z.base64()),
});

/** @returns the file's path */
export function saveFinding(folder: string, target: Target, finding: Finding, files: Files): string {
  fs.mkdirSync(folder, { recursive: true });
  const { kind, message, seed, index } = finding;
  const file = path.join(folder, `${target.name}-${kind}-${seed}-${index}.json`);
  const same = (of: Files): number => Object.entries(of).filter(([name, content]) => files[name] === content).length;
  const beside = target.seeds.reduce((best, of, at) => (same(of) > same(target.seeds[best] as Files) ? at : best), 0);
  const changed = Object.entries(files).filter(([name, content]) => target.seeds[beside]?.[name] !== content);
  const packed = Object.fromEntries(changed.map(([name, content]) => [name, Buffer.from(content).toString('base64')]));
  fs.writeFileSync(
    file,
    `${JSON.stringify({ target: target.name, kind, message, repeat: repeatCommand(finding), beside, files: packed }, null, 1)}\n`,
  );
  return file;
}

/** What a saved finding is read by, and its files. @param targetNamed by the name that it tells */
export function readFinding(
  file: string,
  targetNamed: (name: string) => Target | undefined,
): { readonly target: Target; readonly kind: string; readonly message: string; readonly files: Files } {
  const { target: name, kind, message, beside, files } = findingFile.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
  const target = targetNamed(name);
  if (target === undefined) throw new Error(`${file} is of the target ${name}, which there is not`);
  return {
    target,
    kind,
    message,
    files: {
      ...target.seeds[beside],
      ...Object.fromEntries(Object.entries(files).map(([each, content]) => [each, Buffer.from(content, 'base64')])),
    },
  };
}

/** Readings that making a finding smaller may take. */
const MOST_READINGS = 400;

/**
 * Leaves out what the fault does not need: pieces of the files that differ from those of the seeds, the longest first. Only
 * errors are made smaller, since each reading of the others takes seconds.
 */
export async function minimise(target: Target, finding: Finding, files: Files): Promise<Files> {
  if (finding.kind !== 'foreign-error' && finding.kind !== 'breach') return files;
  const scratch = makeScratch();
  const judge = new Judge(target, new Workspace(path.join(scratch, target.name)));
  let left = MOST_READINGS;
  const stillFails = async (candidate: Files): Promise<boolean> => {
    left--;
    const { faults } = await judge.read(candidate);
    return faults.some((fault) => faultKey({ target: target.name, ...fault }) === faultKey(finding));
  };
  try {
    let smallest = files;
    const constant = new Set(target.seeds.flatMap((seed) => Object.values(seed)));
    for (const name of Object.keys(files).filter((each) => !constant.has(files[each] as Uint8Array))) {
      for (let length = (files[name] as Uint8Array).length >> 1; length >= 1; length >>= 1) {
        for (let at = 0; at < (smallest[name] as Uint8Array).length && left > 0;) {
          const content = smallest[name] as Uint8Array;
          const candidate = {
            ...smallest,
            [name]: Buffer.concat([content.subarray(0, at), content.subarray(at + length)]),
          };
          if (await stillFails(candidate)) smallest = candidate;
          else at += length;
        }
      }
    }
    return smallest;
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
}
