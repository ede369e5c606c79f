import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/** Written by setup/setup.js beside the native package's binding. */
const SETUP_STATE_FILE = 'crane-native.json';

const setupState = z.object({
  backend: z.enum(['tensorflow', 'wasm']),
  /** How the native library was installed, such as `wheel` or `download`; null without one. */
  source: z.string().nullable(),
  /** One entry for each attempt, in order. */
  steps: z.array(z.object({ step: z.string(), ok: z.boolean(), detail: z.string() })),
  /** What to do so that the native backend can be set up; null where it is. */
  advice: z.string().nullable(),
  time: z.string(),
});
export type SetupState = z.infer<typeof setupState>;

/** What the last set-up found; null where none has run or its record cannot be read. */
export function readSetupState(nativePackage: string): SetupState | null {
  try {
    const folder = dirname(require.resolve(`${nativePackage}/package.json`));
    return setupState.parse(JSON.parse(readFileSync(join(folder, SETUP_STATE_FILE), 'utf8')));
  } catch {
    return null;
  }
}

/** Why the last set-up ended without a native backend, and what to do; null where it succeeded or never ran. */
export function nativeSetupProblem(
  nativePackage: string,
): { readonly reason: string; readonly advice: string | null } | null {
  const state = readSetupState(nativePackage);
  if (state === null || state.backend === 'tensorflow') return null;
  const failures = state.steps.filter((step) => !step.ok).map((step) => `${step.step}: ${step.detail}`);
  return { reason: failures.join('; '), advice: state.advice };
}
