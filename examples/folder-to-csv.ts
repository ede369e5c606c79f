/** Scores the images of a folder and writes a CSV file; one that cannot be read is named: folder-to-csv.ts FOLDER [FILE] */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { Crane } from 'crane-tfjs';

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

async function main([folder = '.', file = 'scores.csv']: readonly string[]): Promise<void> {
  await using crane = await Crane.load({ offline: true });
  const out = createWriteStream(file);
  out.write('path,score,largest\n');
  let scored = 0;
  let failed = 0;
  const detections = crane.stream(folder, {
    onFailure: ({ error }) => {
      failed++;
      console.error(error.message);
    },
  });
  for await (const { source, score, map } of detections) {
    const largest = map.reduce((most, value) => Math.max(most, value), 0);
    out.write(`${quoted(source)},${score},${largest}\n`);
    scored++;
  }
  out.end();
  await once(out, 'finish');
  console.log(`${scored} images scored, ${failed} failed, written to ${file}`);
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
