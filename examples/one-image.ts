/** Scores one image and saves its heatmap: one-image.ts IMAGE [HEATMAP] */
import { Crane } from 'crane-tfjs';

async function main([image, heatmap = 'heatmap.png']: readonly string[]): Promise<void> {
  if (image === undefined) throw new Error('Give an image: a path or a URL.');
  const crane = await Crane.load({ offline: true });
  try {
    const { score, map, width, height } = await crane.detect(image);
    await map.save(heatmap, { score });
    console.log(`${image}: score ${score.toFixed(3)}, ${width} x ${height} pixels, heatmap in ${heatmap}`);
  } finally {
    crane.dispose();
  }
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
