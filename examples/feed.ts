/** Scores images as they arrive in a folder, until Ctrl-C: feed.ts FOLDER */
import { Crane, WatchedFolder } from 'crane-tfjs';

async function main([folder = 'incoming']: readonly string[]): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('Ctrl-C')));
  await using crane = await Crane.load({ offline: true });

  let scored = 0;
  try {
    for await (const { source, score } of crane.stream(new WatchedFolder(folder), { signal: stop.signal })) {
      scored++;
      console.log(`${source}: ${score > 0.5 ? 'look at it' : 'passes'} (${score.toFixed(3)})`);
    }
  } catch (error) {
    if (error !== stop.signal.reason) throw error;
    console.log(`stopped after ${scored} images: ${(error as Error).message}`);
  }
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
