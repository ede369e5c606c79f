import * as path from 'node:path';
import { parseArgs } from 'node:util';
import { campaign, type CampaignOptions, type CampaignResult } from './campaign';
import { repeatCommand } from './findings';
import { GROUPS } from './target';
import { targets, targetsNamed } from './targets';

const HELP = `usage: npm run fuzz -- [options]

Changes right files at random, knowing how they are built, and reads each as the program would. Whatever happens, only
errors of the program's own may come out: no other error, no crash, no more than 2 seconds or 200 MB, no file outside of
a folder that is unpacked to, no file left open, nothing added to JavaScript's own prototypes.

  --minutes M       how long; default 1, or without end where --mutants is given
  --mutants N       how many in all, shared out evenly
  --seed N          other mutants; default 1. The same seed makes the same ones
  --target A,B      only these; groups are ${GROUPS.join(', ')}
  --mutant I        only mutant I of the target, to see a finding again
  --patience S      seconds without a sign of life after which a mutant is read on its own, with three times
                    as many; default 20
  --out FOLDER      where findings are saved; default fuzz-findings
  --list            the targets

Exits with 1 where anything was found.
`;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  let options: CampaignOptions | undefined;
  try {
    options = optionsOf(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (options === undefined) return 0;
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  let told = performance.now();
  const result = await campaign({
    ...options,
    onProgress(mutants) {
      if (performance.now() - told < 30_000) return;
      told = performance.now();
      process.stderr.write(`${mutants} mutants read\n`);
    },
    onFinding: (finding, file) =>
      process.stderr.write(
        `${finding.kind} in ${finding.target}: ${finding.message}\n  again: ${repeatCommand(finding)}${file === undefined ? '' : `\n  saved: ${file}`}\n`,
      ),
  });
  process.stdout.write(describe(result));
  return result.findings.length > 0 ? 1 : 0;
}

/** Undefined where there is nothing to run. @throws Error for what is not understood */
function optionsOf(args: readonly string[]): CampaignOptions | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: text,
      mutants: text,
      seed: text,
      target: text,
      mutant: text,
      patience: text,
      out: text,
      list: { type: 'boolean' },
      help: { type: 'boolean' },
      offline: { type: 'boolean' },
    },
  });
  if (values.help === true) process.stdout.write(HELP);
  if (values.list === true)
    process.stdout.write(`${targets.map(({ name, group }) => `${name.padEnd(22)}${group}`).join('\n')}\n`);
  if (values.help === true || values.list === true) return undefined;
  const number = (name: 'minutes' | 'mutants' | 'seed' | 'mutant' | 'patience', whole: boolean): number | undefined => {
    const value = values[name];
    if (value === undefined) return undefined;
    if (
      value.trim() !== '' &&
      Number(value) >= 0 &&
      (whole ? Number.isSafeInteger(Number(value)) : Number.isFinite(Number(value)))
    )
      return Number(value);
    throw new Error(`--${name} ${value}: a ${whole ? 'whole ' : ''}number was expected`);
  };
  const [mutants, mutant] = [number('mutants', true), number('mutant', true)];
  const minutes = number('minutes', false) ?? (mutants === undefined && mutant === undefined ? 1 : undefined);
  const patience = number('patience', false);
  return {
    targets: values.target === undefined ? targets : targetsNamed(values.target.split(',')),
    seed: number('seed', true) ?? 1,
    out: path.resolve(values.out ?? 'fuzz-findings'),
    ...(mutants === undefined ? {} : { mutants }),
    ...(minutes === undefined ? {} : { minutes }),
    ...(mutant === undefined ? {} : { mutant }),
    ...(patience === undefined ? {} : { patience }),
  };
}

function describe({ tallies, findings, faults, growth, seconds }: CampaignResult): string {
  const rows = tallies.map(({ target, mutants, accepted, refused, milliseconds }) => {
    const codes = [...refused].sort(([, a], [, b]) => b - a);
    const all = codes.reduce((sum, [, times]) => sum + times, 0);
    return [
      target.name,
      mutants,
      accepted,
      all,
      Math.round((1000 * mutants) / Math.max(milliseconds, 1)),
      codes.map(([code, times]) => `${code} ${times}`).join(', '),
    ].map(String);
  });
  const head = ['target', 'mutants', 'accepted', 'refused', 'a second', 'refused by code'];
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 || column === 5 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd();
  const total = tallies.reduce((sum, { mutants }) => sum + mutants, 0);
  const found =
    findings.length === 0
      ? 'nothing was found'
      : `${faults} mutants showed ${findings.length} different fault${findings.length === 1 ? '' : 's'}`;
  const summary = `${total} mutants in ${seconds.toFixed(1)} s, at most ${Math.round(growth / 2 ** 20)} MB above the start: ${found}.`;
  const again = findings.map(
    (finding) => `  ${finding.kind} in ${finding.target}: ${finding.message}\n    ${repeatCommand(finding)}`,
  );
  return `${[line(head), ...rows.map(line), '', summary, ...again].join('\n')}\n`;
}
