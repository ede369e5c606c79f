/** Trains prompts on a folder with images and masks, and finds defects with them: train.ts FOLDER IMAGE [OUT] */
import { Crane, train } from 'crane-tfjs';

async function main([folder, image, out = 'run']: readonly string[]): Promise<void> {
  if (folder === undefined || image === undefined) throw new Error('Give a folder to train on, and an image.');
  const run = train({ auxiliary: folder, training: { epochs: 2, batchSize: 4 }, out, offline: true, cache: false });
  for await (const { step, steps, total } of run.steps()) {
    console.log(`step ${step} of ${steps}: loss ${total.toFixed(3)}`);
  }
  const { bestPrompts, best } = await run.result;
  console.log(`best epoch ${best.epoch}, prompts in ${bestPrompts}`);

  await using crane = await Crane.load({ prompts: bestPrompts, offline: true });
  const { score } = await crane.detect(image);
  console.log(`${image}: score ${score.toFixed(3)}`);
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
