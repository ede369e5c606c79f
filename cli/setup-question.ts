import * as fs from 'node:fs';
import * as path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { cacheFolder } from '../lib/files/cache-folder';
import { packageFolder } from '../lib/files/package-folder';

/** Commands that compute, and so wait for the set-up to be worth its time. */
const COMPUTING = new Set(['start', 'detect', 'train', 'eval', 'benchmark', 'bench']);
const ASKED = 'setup-asked.json';

const QUESTION = `Native TensorFlow is not set up, so Crane computes on WebAssembly, 5 to 10 times slower.
Set it up now? It takes python3 with pip, g++, 250 MB of downloads and about a minute. [Y/n] `;

/** What decides whether to ask. */
export interface Circumstances {
  /** The arguments after the program's name. */
  readonly argv: readonly string[];
  /** Whether a person reads what is printed and can type. */
  readonly terminal: boolean;
  readonly environment: NodeJS.ProcessEnv;
  /** The folder of the package. */
  readonly root: string;
  /** Whether a set-up has run for this copy of the package, with whatever result. */
  readonly setUp: () => Promise<boolean>;
}

/**
 * Whether a person is to be asked for the set-up: once for each installed copy of the package, never in a pipe or in CI. In a
 * checkout the npm scripts have set it up.
 */
export async function isToBeAsked({ argv, terminal, environment, root, setUp }: Circumstances): Promise<boolean> {
  if (!terminal || !COMPUTING.has(argv[0] ?? '') || argv.includes('--help') || argv.includes('--offline')) return false;
  if (['CI', 'CRANE_NO_NATIVE', 'CRANE_OFFLINE'].some((name) => !['', '0'].includes(environment[name] ?? '')))
    return false;
  if (fs.existsSync(path.join(root, 'package-lock.json')) || askedBefore(environment).includes(root)) return false;
  return !(await setUp());
}

/**
 * Asks where {@link isToBeAsked} says so, and keeps that it was asked.
 * @returns whether the answer is yes
 */
export async function askForSetup(argv: readonly string[]): Promise<boolean> {
  const root = packageFolder();
  const { env: environment, stdin, stderr } = process;
  if (!(await isToBeAsked({ argv, terminal: stdin.isTTY && stderr.isTTY, environment, root, setUp }))) return false;
  noteAsked(root, environment);
  const prompt = createInterface({ input: stdin, output: stderr });
  try {
    return isYes(await prompt.question(QUESTION));
  } finally {
    prompt.close();
  }
}

/** Loads TensorFlow.js, so it is asked last. */
async function setUp(): Promise<boolean> {
  const { NATIVE_PACKAGE } = await import('../lib/backend/native');
  const { readSetupState } = await import('../lib/backend/setup-state');
  return readSetupState(NATIVE_PACKAGE) !== null;
}

/** An empty answer is yes. */
export function isYes(answer: string): boolean {
  return /^\s*(y(es)?)?\s*$/i.test(answer);
}

/** Keeps that a person was asked for this copy of the package. */
export function noteAsked(root: string, environment: NodeJS.ProcessEnv): void {
  try {
    const folder = cacheFolder(environment);
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, ASKED), JSON.stringify([...new Set([...askedBefore(environment), root])]));
  } catch {
    // Where nothing can be written, the next command asks again.
  }
}

function askedBefore(environment: NodeJS.ProcessEnv): readonly unknown[] {
  try {
    const asked: unknown = JSON.parse(fs.readFileSync(path.join(cacheFolder(environment), ASKED), 'utf8'));
    return Array.isArray(asked) ? asked : [];
  } catch {
    return [];
  }
}
