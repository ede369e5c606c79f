/**
 * A training run in a process of its own, for tests that kill it. Takes the options as JSON, says "begun" when its steps
 * begin and "step N" after each, and ends with code 0.
 */
import type { Progress } from '../../lib/progress';
import { runTraining } from '../../train/run';
import type { TrainOptions } from '../../train/run-options';

const options = JSON.parse(process.argv[2] as string) as TrainOptions;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const onProgress = ({ kind, task }: Progress): void => {
  if (kind === 'start' && task === 'train') say('begun');
};

runTraining({ ...options, onProgress, onStep: ({ step }) => say(`step ${step}`) }).then(
  () => say('done'),
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  },
);
