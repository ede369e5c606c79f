/** A process of its own for `fetch-killed.test.ts`: fetches the entry that it is given as JSON into a folder. */
import { fetchWeights } from '../../lib/weights/weight-cache';
import type { RegisteredWeights } from '../../lib/weights/registered-weights';

const [entry, folder] = process.argv.slice(2) as [string, string];
void fetchWeights(JSON.parse(entry) as RegisteredWeights, { folder, offline: false, allowPrivateUrls: true }).then(
  (file) => process.stdout.write(file),
  (error: Error) => {
    process.stderr.write(error.message);
    process.exitCode = 1;
  },
);
