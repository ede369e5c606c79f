import { main } from '../../cli/crane';
import { runTool } from '../../tools/main';

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line of `crane` in this process and keeps what it prints. */
export const runCrane = (...argv: string[]): Promise<Run> => captured(() => main(argv));

/** The same for a tool of the checkout, such as `pretrain`. */
export const runNpmTool = (...argv: string[]): Promise<Run> => captured(() => runTool(argv));

async function captured(program: () => Promise<number>): Promise<Run> {
  let [out, err] = ['', ''];
  const spies = [
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true)),
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true)),
  ];
  try {
    return { code: await program(), out, err };
  } finally {
    spies.forEach((spy) => spy.mockRestore());
    // jest itself would end with the code of the last command.
    process.exitCode = undefined;
  }
}

/** Of JSON lines. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
