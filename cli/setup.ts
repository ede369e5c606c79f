import { spawn } from 'node:child_process';
import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { NATIVE_PACKAGE } from '../lib/backend/native';
import { readSetupState } from '../lib/backend/setup-state';
import { packageFolder } from '../lib/files/package-folder';

interface SetupArguments {
  readonly retry: boolean;
  readonly offline?: boolean;
}

/** `crane setup`: sets up native TensorFlow for this copy of the package, wherever it is installed. */
export const setupCommand: CommandModule<object, SetupArguments> = {
  command: 'setup',
  describe: 'Set up native TensorFlow, with which computing is 5 to 10 times faster',
  builder: { retry: { type: 'boolean', default: false, describe: 'Set it up anew, although it is set up' } },
  handler: async ({ retry, offline }) => {
    process.exitCode = await runSetup({ retry, ...(offline === undefined ? {} : { offline }) });
  },
};

/**
 * Runs the set-up of the package in a process of its own, which says what it does on standard error. What has failed before is
 * tried again.
 * @returns 0 where native TensorFlow is set up, else 1
 */
export async function runSetup({ retry = false, offline = false }: Partial<SetupArguments>): Promise<number> {
  const script = path.join(packageFolder(), 'setup', 'setup.js');
  const failedBefore = readSetupState(NATIVE_PACKAGE)?.backend === 'wasm';
  const args = [script, ...(retry || failedBefore ? ['--retry'] : []), ...(offline ? ['--offline'] : [])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 1));
  });
  // The set-up ends well on WebAssembly too, since everything works with it; here native speed was asked for.
  return code === 0 && readSetupState(NATIVE_PACKAGE)?.backend !== 'tensorflow' ? 1 : code;
}
