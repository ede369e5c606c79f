import type { CommandModule } from 'yargs';
import { BACKEND_CHOICES, type BackendChoice } from '../lib/backend';
import { examine } from './doctor/examine';
import { adviceOn, describe } from './doctor/describe';
import { print, printJson } from '../terminal/output';

interface DoctorArguments {
  readonly backend: BackendChoice;
  readonly json: boolean;
  readonly verbose?: boolean;
}

/** `crane doctor`: which backend is used and why, what is present, and what to do about what is missing. */
export const doctorCommand: CommandModule<object, DoctorArguments> = {
  command: 'doctor',
  describe: 'Show which backend is used and why, and what is missing',
  builder: {
    backend: { choices: BACKEND_CHOICES, default: 'auto', describe: 'The backend to examine' },
    json: { type: 'boolean', default: false, describe: 'Print one JSON object' },
  },
  handler: async ({ backend, json, verbose }) => {
    const examination = await examine(backend, verbose ?? false);
    const advice = adviceOn(examination);
    if (json) printJson({ ...examination, advice }, 2);
    else print(describe(examination, advice).trimEnd());
  },
};
