import * as path from 'node:path';
import type { CommandModule } from 'yargs';
import { print as say } from '../../terminal/output';
import { DEFAULT_RECIPE } from './recipe';
import { exportNetwork, pretrain } from './run';

interface PretrainArguments {
  seed: number;
  steps: number;
  folder: string;
  out: string;
  resume: boolean;
  'save-every': number;
  'probe-every': number;
  'probe-size': number;
}

const root = path.resolve(__dirname, '../..');

/** `npm run pretrain`: makes the embedded backbone from synthetic images. */
export const pretrainCommand: CommandModule<object, PretrainArguments> = {
  command: 'pretrain',
  describe: 'Pretrain the embedded backbone from scratch on synthetic images (an hour on two cores)',
  builder: (yargs) =>
    yargs
      .option('seed', { type: 'number', default: DEFAULT_RECIPE.seed, describe: 'Seed of all random numbers' })
      .option('steps', { type: 'number', default: DEFAULT_RECIPE.steps, describe: 'Batches to train on' })
      .option('folder', {
        type: 'string',
        default: path.join(root, 'checkpoints/runs/pretraining'),
        describe: 'Folder for the state and the log',
      })
      .option('out', {
        type: 'string',
        default: path.join(root, 'checkpoints/nano.safetensors'),
        describe: 'File for the finished backbone',
      })
      .option('resume', {
        type: 'boolean',
        default: true,
        describe: 'Resume from the state in the folder, if there is one',
      })
      .option('save-every', { type: 'number', default: 100, describe: 'Steps between saved states' })
      .option('probe-every', {
        type: 'number',
        default: 200,
        describe: 'Steps between measurements on unseen families; 0 for none',
      })
      .option('probe-size', { type: 'number', default: 108, describe: 'Images in each third of the measurement' }),
  handler: async (given) => {
    const stop = new AbortController();
    const onSignal = (): void => stop.abort();
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
    const recipe = { ...DEFAULT_RECIPE, seed: given.seed, steps: given.steps };
    const percent = (value: number): string => (100 * value).toFixed(1);
    try {
      const { finished, network } = await pretrain({
        recipe,
        folder: given.folder,
        resume: given.resume,
        saveEvery: given['save-every'],
        probeEvery: given['probe-every'],
        probeSize: given['probe-size'],
        signal: stop.signal,
        onResume: (step) => say(`resuming after step ${step}`),
        onStep: ({ step, steps, losses, seconds }) => {
          if (step % 20 !== 0 && step !== 1) return;
          say(
            `step ${step}/${steps}  loss ${losses.total.toFixed(3)}  contrastive ${losses.contrastive.toFixed(3)}  ` +
              `dense ${losses.dense.toFixed(3)}  state ${losses.state.toFixed(3)}  ${seconds.toFixed(2)} s`,
          );
        },
        onProbe: (step, { seenImage, seenPixel, unseenImage, unseenPixel }) =>
          say(
            `step ${step}  image/pixel AUROC on unseen families: seen kinds ${percent(seenImage)} / ${percent(seenPixel)}, ` +
              `unseen kinds ${percent(unseenImage)} / ${percent(unseenPixel)}`,
          ),
      });
      if (finished) {
        exportNetwork(given.out, network, recipe);
        say(`wrote ${given.out}`);
      } else {
        say(`stopped; the same command resumes from ${given.folder}`);
      }
      network.dispose();
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    }
  },
};
